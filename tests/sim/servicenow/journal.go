package servicenow

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
)

// journal is the append-only file behind Options.StateDir. One frame holds all
// changes of one POST:
//
//	length uint32 | crc32 uint32 | seq uvarint | op*
//	op = kind byte | sys_id [16] | table | created | updated | mods | (column, value)*
//
// A frame is written with one system call before the answer leaves, so a
// killed process loses nothing it acknowledged and a torn last frame is cut
// away at the next start.
type journal struct {
	file *os.File
	buf  []byte
	size int64
}

const (
	opPut    = 1
	opDelete = 2
)

// openJournal replays the file into the store and opens it for appending.
func openJournal(dir string, s *store) (*journal, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("servicenow: state: %w", err)
	}
	file, err := os.OpenFile(filepath.Join(dir, "servicenow.journal"), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("servicenow: state: %w", err)
	}
	good, err := replay(bufio.NewReaderSize(file, 1<<20), s)
	if err == nil {
		err = file.Truncate(good)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("servicenow: replay: %w", err), file.Close())
	}
	return &journal{file: file, size: good}, nil
}

// replay applies whole frames and returns the length of the good part.
func replay(r io.Reader, s *store) (int64, error) {
	var good int64
	head := make([]byte, 8)
	for {
		if _, err := io.ReadFull(r, head); err != nil {
			return good, ignoreTorn(err)
		}
		size := binary.LittleEndian.Uint32(head)
		if size > 1<<30 {
			return good, nil
		}
		body := make([]byte, size)
		if _, err := io.ReadFull(r, body); err != nil {
			return good, ignoreTorn(err)
		}
		if crc32.ChecksumIEEE(body) != binary.LittleEndian.Uint32(head[4:]) {
			return good, nil
		}
		if err := applyFrame(body, s); err != nil {
			return good, err
		}
		good += 8 + int64(size)
	}
}

func ignoreTorn(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

// frameReader walks a frame; bad is set once and stays.
type frameReader struct {
	b   string
	bad bool
}

func (f *frameReader) num() uint64 {
	v, n := uvarint(f.b)
	if n == 0 {
		f.bad, f.b = true, ""
		return 0
	}
	f.b = f.b[n:]
	return v
}

func (f *frameReader) text() string {
	n := f.num()
	if n > uint64(len(f.b)) {
		f.bad, f.b = true, ""
		return ""
	}
	v := f.b[:n]
	f.b = f.b[n:]
	return v
}

func applyFrame(body []byte, s *store) error {
	f := &frameReader{b: string(body)}
	s.seq = max(s.seq, f.num())
	for len(f.b) > 0 {
		kind := f.b[0]
		f.b = f.b[1:]
		id, ok := parseSysID(f.text())
		if !ok {
			return errors.New("journal frame holds a bad sys_id")
		}
		old := s.rows[id]
		if kind == opDelete {
			if old != nil {
				s.unlink(old)
			}
			continue
		}
		tab := s.schema.tables[f.text()]
		next := row{id: id, seq: f.num(), created: int64(f.num()), updated: int64(f.num()), mods: uint32(f.num())}
		fields := make([]field, 0, 16)
		for n := f.num(); n > 0; n-- {
			fields = append(fields, field{s.schema.num(f.text()), f.text()})
		}
		if f.bad || tab == nil {
			return errors.New("journal frame is not readable by this version")
		}
		put(s, old, tab, next, packFields(fields))
	}
	return nil
}

func put(s *store, old *row, tab *table, next row, data string) {
	if old == nil {
		next.table, next.data = tab, data
		s.link(&next)
		return
	}
	s.reindex(old, tab, data)
	old.updated, old.mods = next.updated, next.mods
}

// append writes the frame of a transaction; after an error the file is as long
// as before.
func (j *journal) append(t *tx) error {
	b := append(j.buf[:0], make([]byte, 8)...)
	b = binary.AppendUvarint(b, t.s.seq)
	for _, r := range t.order {
		if r.deleted {
			b = append(b, opDelete)
			b = appendText(b, r.id.String())
			continue
		}
		b = append(b, opPut)
		b = appendText(b, r.id.String())
		b = appendText(b, r.table.name)
		for _, v := range []uint64{r.seq, uint64(r.created), uint64(r.updated), uint64(r.mods)} {
			b = binary.AppendUvarint(b, v)
		}
		n := uint64(0)
		eachField(r.data, func(int, string) bool { n++; return true })
		b = binary.AppendUvarint(b, n)
		eachField(r.data, func(col int, val string) bool {
			b = appendText(appendText(b, t.s.schema.names[col]), val)
			return true
		})
	}
	j.buf = b
	binary.LittleEndian.PutUint32(b, uint32(len(b)-8))
	binary.LittleEndian.PutUint32(b[4:], crc32.ChecksumIEEE(b[8:]))
	if _, err := j.file.WriteAt(b, j.size); err != nil {
		return errors.Join(err, j.file.Truncate(j.size))
	}
	j.size += int64(len(b))
	return nil
}

func appendText(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

func (j *journal) reset() error {
	j.size = 0
	return j.file.Truncate(0)
}
