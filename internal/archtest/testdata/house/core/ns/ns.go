package ns // want "core/ns has no package comment"
