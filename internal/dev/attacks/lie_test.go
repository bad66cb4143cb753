package attacks

func lie() {}
