package control

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
)

// Journal is an append-only file of JSON documents, one a line. When Append returns, the operating system has the line,
// so a simulator that is killed with SIGKILL loses nothing that it has answered; a crash of the machine may lose the
// tail. A line that was cut by such an end is dropped when the file is opened again.
type Journal struct {
	mu   sync.Mutex
	file *os.File
	size int64
}

// OpenJournal opens or creates the file at path, with its folders, and drops a torn last line.
func OpenJournal(path string) (*Journal, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("control: journal folder: %w", err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("control: open journal: %w", err)
	}
	size, err := soundSize(f)
	if err == nil {
		err = f.Truncate(size)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("control: journal %s: %w", path, err), f.Close())
	}
	return &Journal{file: f, size: size}, nil
}

// soundSize returns the length of the file up to and including its last complete line that is JSON.
// It reads backwards, so a journal of gigabytes opens at once.
func soundSize(f *os.File) (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	end := info.Size()
	for end > 0 {
		lineEnd, err := lastNewline(f, end)
		if err != nil {
			return 0, err
		}
		if lineEnd < 0 {
			return 0, nil
		}
		before, err := lastNewline(f, lineEnd)
		if err != nil {
			return 0, err
		}
		line := make([]byte, lineEnd-before-1)
		if _, err := f.ReadAt(line, before+1); err != nil {
			return 0, err
		}
		if json.Valid(line) {
			return lineEnd + 1, nil
		}
		end = before + 1
	}
	return 0, nil
}

// lastNewline returns the offset of the last newline before end, or -1.
func lastNewline(f *os.File, end int64) (int64, error) {
	const block = 64 << 10
	for end > 0 {
		start := max(0, end-block)
		buf := make([]byte, end-start)
		if _, err := f.ReadAt(buf, start); err != nil {
			return 0, err
		}
		if i := bytes.LastIndexByte(buf, '\n'); i >= 0 {
			return start + int64(i), nil
		}
		end = start
	}
	return -1, nil
}

// Append writes v as one line with a single write call. After an error the file is as long as before.
func (j *Journal) Append(v any) error {
	line, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("control: encode journal entry: %w", err)
	}
	line = append(line, '\n')
	j.mu.Lock()
	defer j.mu.Unlock()
	n, err := j.file.WriteAt(line, j.size)
	if err != nil {
		err = fmt.Errorf("control: append to journal: %w", err)
		if n > 0 {
			err = errors.Join(err, j.file.Truncate(j.size))
		}
		return err
	}
	j.size += int64(n)
	return nil
}

// Replay calls fn with every document in the order of writing and stops at its first error. The slice is fn's to keep.
func (j *Journal) Replay(fn func(json.RawMessage) error) error {
	j.mu.Lock()
	size := j.size
	j.mu.Unlock()
	in := bufio.NewReaderSize(io.NewSectionReader(j.file, 0, size), 256<<10)
	for {
		line, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("control: read journal: %w", err)
		}
		if err := fn(json.RawMessage(line[:len(line)-1])); err != nil {
			return err
		}
	}
}

// Clear forgets all documents: the journal of a simulator that was reset.
func (j *Journal) Clear() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.file.Truncate(0); err != nil {
		return fmt.Errorf("control: clear journal: %w", err)
	}
	j.size = 0
	return nil
}

// Close closes the file.
func (j *Journal) Close() error { return j.file.Close() }
