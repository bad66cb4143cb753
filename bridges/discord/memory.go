package discord

import "sync"

// memory remembers the last things by a key; what is older is forgotten.
type memory[V any] struct {
	bound int

	mu   sync.Mutex
	m    map[string]V
	keys []string
}

func newMemory[V any](bound int) *memory[V] { return &memory[V]{bound: bound, m: map[string]V{}} }

func (m *memory[V]) put(key string, v V) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.m[key]; !ok {
		if len(m.keys) >= m.bound {
			delete(m.m, m.keys[0])
			m.keys = m.keys[1:]
		}
		m.keys = append(m.keys, key)
	}
	m.m[key] = v
}

func (m *memory[V]) get(key string) (V, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, ok := m.m[key]
	return v, ok
}
