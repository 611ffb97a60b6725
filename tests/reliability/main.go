// Command reliability reads the events of `go test -json` from standard input,
// prints what `go test` would have printed, and writes a table that says of each
// row of the fault matrix which tests cover it and how they ended:
//
//	go test -json ./... | go run ./tests/reliability var/reliability.md
//
// Its exit code is 1 when any test failed.
package main

import (
	"bufio"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

//go:embed rows.yaml
var matrix []byte

// row is one fault of the matrix.
type row struct {
	ID      string   `yaml:"id"`
	Fault   string   `yaml:"fault"`
	Tests   []string `yaml:"tests"`
	Missing string   `yaml:"missing"` // what no test covers yet
}

func rows() ([]row, error) {
	var out []row
	err := yaml.UnmarshalWithOptions(matrix, &out, yaml.DisallowUnknownField())
	return out, err
}

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: go test -json ./... | go run ./tests/reliability TABLE.md")
		os.Exit(2)
	}
	failed, err := run(os.Stdin, os.Stdout, os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "reliability:", err)
		os.Exit(1)
	}
	if failed {
		os.Exit(1)
	}
}

// run copies the events and adds their results to those of earlier runs, which
// are kept beside the table.
func run(in io.Reader, out io.Writer, table string) (failed bool, err error) {
	list, err := rows()
	if err != nil {
		return false, err
	}
	results := map[string]string{}
	memory := strings.TrimSuffix(table, filepath.Ext(table)) + ".json"
	if data, err := os.ReadFile(memory); err == nil {
		if err := json.Unmarshal(data, &results); err != nil {
			return false, fmt.Errorf("%s: %w", memory, err)
		}
	}
	failed, err = follow(in, out, results)
	if err != nil {
		return failed, err
	}
	data, err := json.MarshalIndent(results, "", " ")
	if err != nil {
		return failed, err
	}
	if err := os.MkdirAll(filepath.Dir(table), 0o755); err != nil { //nolint:gosec // no secret
		return failed, err
	}
	if err := os.WriteFile(memory, data, 0o644); err != nil { //nolint:gosec // no secret
		return failed, err
	}
	return failed, os.WriteFile(table, []byte(render(list, results)), 0o644) //nolint:gosec // no secret
}

// event is a line of `go test -json`.
type event struct {
	Action  string
	Package string
	Test    string
	Output  string
}

// follow prints what a plain `go test` prints and collects the results of tests.
// When packages share a test's name, a failure of one is the result.
func follow(in io.Reader, out io.Writer, results map[string]string) (failed bool, err error) {
	said := map[string][]string{}
	seen := map[string]bool{}
	scanner := bufio.NewScanner(in)
	scanner.Buffer(nil, 16<<20)
	for scanner.Scan() {
		var e event
		if json.Unmarshal(scanner.Bytes(), &e) != nil { // what the toolchain itself says
			fmt.Fprintln(out, scanner.Text())
			continue
		}
		key := e.Package + "\x00" + e.Test
		switch {
		case e.Action == "build-output", e.Action == "output" && e.Test == "" && e.Output != "PASS\n":
			fmt.Fprint(out, e.Output)
		case e.Action == "output" && !strings.HasPrefix(e.Output, "=== "):
			said[key] = append(said[key], e.Output)
		case e.Action == "build-fail":
			failed = true
		case e.Action == "fail" && e.Test == "": // what never ended tells why
			failed = true
			for _, k := range slices.Sorted(keys(said, e.Package)) {
				fmt.Fprint(out, strings.Join(said[k], ""))
				delete(said, k)
			}
		case e.Action == "fail":
			failed = true
			results[e.Test], seen[e.Test] = "failed", true
			fmt.Fprint(out, strings.Join(said[key], ""))
			delete(said, key)
		case e.Action == "pass" || e.Action == "skip":
			if e.Test != "" && (!seen[e.Test] || results[e.Test] != "failed") {
				results[e.Test], seen[e.Test] = map[string]string{"pass": "passed", "skip": "did not run"}[e.Action], true
			}
			delete(said, key)
		}
	}
	return failed, scanner.Err()
}

// keys yields the keys of a package.
func keys(said map[string][]string, pkg string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range said {
			if strings.HasPrefix(k, pkg+"\x00") && !yield(k) {
				return
			}
		}
	}
}

// render writes the table.
func render(list []row, results map[string]string) string {
	var b strings.Builder
	b.WriteString("# Reliability: what was tried\n\nWritten by `make test`. A row without a test says what is missing.\n\n| row | fault | tests | result |\n| --- | --- | --- | --- |\n")
	for _, r := range list {
		result := "not covered"
		if len(r.Tests) > 0 {
			result = "passed"
		}
		for _, t := range r.Tests {
			if got := results[t]; got == "failed" || result == "passed" && got != "passed" {
				if result = got; got == "" {
					result = "did not run"
				}
			}
		}
		if r.Missing != "" {
			result += "; missing: " + r.Missing
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", r.ID, r.Fault, strings.Join(r.Tests, ", "), result)
	}
	return b.String()
}
