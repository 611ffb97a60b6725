package estate

// Role is how an asset relates to its machine.
type Role int

const (
	// Only is the one asset of its machine.
	Only Role = iota
	// Agent is the asset that the agent reports, of a machine that has scanned assets too.
	Agent
	// Scanned is an authenticated scan of another interface: same serial number and hardware UUID, no agent.
	Scanned
	// Interface is an unauthenticated scan of an interface: it shares a MAC address and nothing else.
	Interface
	// Former is the old asset of a machine that was set up again and came back under a new id.
	Former
	// Returned is that new asset.
	Returned
)

// place says which machine an index belongs to (by its offset in the block) and in which role.
type place struct {
	owner uint8
	role  Role
}

// layout is what the indexes of one block share. Of a hundred indexes, three machines have more than one asset (one of
// them three) and one machine came back under a new id. An asset's twins always come later than the machine's first one.
type layout struct {
	places [blockSize]place
	// heavy is the offset of a host with thousands of packages, or -1: one in every fifth block.
	heavy int
}

// plan computes the layout of a block from the seed.
func (e *Estate) plan(block int) *layout {
	l := layout{heavy: -1}
	for i := range l.places {
		l.places[i].owner = uint8(i)
	}
	used := [blockSize]bool{}
	d := dice(mix(e.opts.Seed) ^ mix(uint64(block)*3+1))
	// Owners are looked for in the first part of the block, twins are taken from the part behind it.
	nextOwner := func(salt uint64) int {
		start := d.below(salt, 50)
		for n := range 50 {
			i := (start + n) % 50
			if used[i] {
				continue
			}
			switch e.archs[e.archetypeOf(block*blockSize+i)].kind {
			case WindowsServer, LinuxServer, WindowsClient, MacClient:
				used[i] = true
				return i
			}
		}
		return -1
	}
	nextTwin := func(salt uint64) int {
		i := 50 + d.below(salt, 50)
		for used[i] {
			i = 50 + (i-49)%50
		}
		used[i] = true
		return i
	}
	twins := [][]Role{{Scanned}, {Scanned}, {Scanned, Interface}, {Returned}}
	for n, roles := range twins {
		owner := nextOwner(uint64(n) + 1)
		if owner < 0 {
			continue
		}
		l.places[owner].role = Agent
		if roles[0] == Returned {
			l.places[owner].role = Former
		}
		for j, role := range roles {
			l.places[nextTwin(uint64(n*4+j)+20)] = place{uint8(owner), role}
		}
	}
	for i := 0; i < blockSize && block%5 == 2; i++ {
		if l.places[i].role == Only && e.archs[e.archetypeOf(block*blockSize+i)].kind == LinuxServer {
			l.heavy = i
			break
		}
	}
	return &l
}

// archetypeOf draws what a machine is. Machines are numbered by the index of their first asset.
func (e *Estate) archetypeOf(machine int) uint8 {
	return e.kinds[dice(mix(e.opts.Seed)^mix(uint64(machine)<<8)).below(1, len(e.kinds))]
}
