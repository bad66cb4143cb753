package slacktest

func (s *Server) userInfo(r request) M {
	u := s.users[r.args["user"]]
	if u == nil {
		return failure("user_not_found")
	}
	return good(M{"user": *u})
}

func (s *Server) userList(r request) M {
	var out []User
	for _, id := range s.order {
		out = append(out, *s.users[id])
	}
	list, meta := page(r, out, 1000)
	return good(M{"members": list, "response_metadata": meta})
}

func (s *Server) userByEmail(r request) M {
	for _, u := range s.users {
		if u.Profile.Email != "" && u.Profile.Email == r.args["email"] {
			return good(M{"user": *u})
		}
	}
	return failure("users_not_found")
}

func (s *Server) userPresence(r request) M {
	u := s.users[r.args["user"]]
	if u == nil {
		return failure("user_not_found")
	}
	return good(M{"presence": u.presence})
}

func (s *Server) botInfo(r request) M {
	name, ok := s.bots[r.args["bot"]]
	if !ok {
		return failure("bot_not_found")
	}
	out := M{"id": r.args["bot"], "name": name, "deleted": false, "updated": 1}
	for _, u := range s.users {
		if u.Profile.BotID == r.args["bot"] {
			out["user_id"] = u.ID
		}
	}
	return good(M{"bot": out})
}
