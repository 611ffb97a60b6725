package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// Rules of the counts of instructions: the first figure has few of them, the
// second many, and the difference is the price of a rule.
const (
	fewRules  = 100
	manyRules = 1100
)

// pageBytes bounds the page that is kept for counting.
const pageBytes = 64 << 20

// instructions counts what decode … encode costs per asset: instructions, which
// hardly depend on what else the machine does, and allocations.
func instructions(ctx context.Context, o *benchOptions) ([]row, error) {
	file, err := savePage(ctx, o)
	if err != nil {
		return nil, err
	}
	m, err := measure(ctx, "", oneCore, o.self, transformArgs(file, 10, fewRules)...)
	if err != nil {
		return nil, err
	}
	rows := []row{most("allocations per asset, decode … encode", 350, 250, m.Allocs, "")}
	const perAsset, perRule = "instructions per asset, decode … encode with 100 rules", "instructions per rule and asset"
	count, missing := counter(o, file)
	if count == nil {
		return append(rows, unmeasured(perAsset, 800_000, 400_000, missing), unmeasured(perRule, 100, 20, missing)), nil
	}
	few, err := count(ctx, fewRules)
	if err != nil {
		return nil, err
	}
	many, err := count(ctx, manyRules)
	if err != nil {
		return nil, err
	}
	return append(rows, most(perAsset, 800_000, 400_000, few, ""), most(perRule, 100, 20, (many-few)/(manyRules-fewRules), "")), nil
}

func transformArgs(file string, pages, rules int) []string {
	return []string{"-child", childTransform, "-whole", "-page", file, "-pages", strconv.Itoa(pages), "-rules", strconv.Itoa(rules)}
}

// savePage keeps the first page of an estate in a file.
func savePage(ctx context.Context, o *benchOptions) (string, error) {
	s, err := startSimulators(ctx, onePage)
	if err != nil {
		return "", err
	}
	defer s.stop()
	e := s.ends
	token, err := get(ctx, e.GatewayURL+"/auth", "", url.Values{"username": {e.QualysUser}, "password": {e.QualysPassword}, "token": {"true"}}, nil)
	if err != nil {
		return "", err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.GatewayURL+"/rest/2.0/search/am/asset?pageSize="+strconv.Itoa(onePage), nil)
	if err != nil {
		return "", err
	}
	req.Header.Set("Authorization", "Bearer "+string(token))
	page, err := bodyOf(req, pageBytes)
	if err != nil {
		return "", err
	}
	file := filepath.Join(filepath.Dir(o.out), "page.json")
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return "", err
	}
	return file, os.WriteFile(file, page, 0o644)
}

// counter returns what counts the instructions of an asset with a number of rules,
// or what is missing here.
func counter(o *benchOptions, file string) (count func(context.Context, int) (float64, error), missing string) {
	run := func(tool []string, pattern *regexp.Regexp) func(context.Context, int) (float64, error) {
		return func(ctx context.Context, rules int) (float64, error) {
			one, err := counted(ctx, tool, pattern, o.self, transformArgs(file, 1, rules))
			if err != nil {
				return 0, err
			}
			three, err := counted(ctx, tool, pattern, o.self, transformArgs(file, 3, rules))
			return (three - one) / 2 / onePage, err
		}
	}
	if path, err := exec.LookPath("valgrind"); err == nil {
		return run([]string{path, "--tool=callgrind", "--callgrind-out-file=/dev/null"}, regexp.MustCompile(`Collected : (\d+)`)), ""
	}
	if path, err := exec.LookPath("perf"); err == nil {
		tool := []string{path, "stat", "-x", ",", "-e", "instructions:u"}
		pattern := regexp.MustCompile(`(?m)^(\d+),[^,]*,instructions`)
		if _, err := counted(context.Background(), tool, pattern, o.self, transformArgs(file, 1, 0)); err == nil {
			return run(tool, pattern), ""
		}
	}
	return nil, "not measured here: install valgrind"
}

// counted runs a program under a tool and returns the number of instructions. The
// collector is off, because when it runs is chance; valgrind does not know rdtscp,
// and signals of preemption confuse it.
func counted(ctx context.Context, tool []string, pattern *regexp.Regexp, program string, args []string) (float64, error) {
	all := append(append(tool[1:len(tool):len(tool)], program), args...)
	cmd := exec.CommandContext(ctx, tool[0], all...)
	cmd.Env = append(os.Environ(), "GODEBUG=cpu.rdtscp=off,asyncpreemptoff=1", "GOGC=off", "GOMAXPROCS=1")
	out, err := cmd.CombinedOutput()
	m := pattern.FindSubmatch(out)
	if err != nil || m == nil {
		return 0, fmt.Errorf("%s does not count: %w\n%s", filepath.Base(tool[0]), err, strings.TrimSpace(string(out)))
	}
	return strconv.ParseFloat(string(m[1]), 64)
}
