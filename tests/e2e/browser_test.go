package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// browser is a headless Chromium that looks at the console of a stack. What it must
// never do is noted: errors, dialogs, requests to other hosts.
type browser struct {
	t    *testing.T
	ctx  context.Context
	base string
	axe  string

	mu    sync.Mutex
	wrong []string
}

// chromium finds the browser; CI must have one.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("CI") != "" && os.Getenv("QBRIDGE_WITHOUT_BROWSER") == "" {
		t.Fatal("there is no Chromium, and CI must run this: apt-get install chromium, or set QBRIDGE_WITHOUT_BROWSER=1 where there cannot be one")
	}
	t.Skip("did not run: install Chromium (apt-get install chromium)")
	return ""
}

func newBrowser(t *testing.T, base string) *browser {
	t.Helper()
	axe, err := os.ReadFile(filepath.Join("..", "fixtures", "axe", "axe.min.js"))
	require.NoError(t, err)
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(chromium(t)), chromedp.NoSandbox, chromedp.UserDataDir(t.TempDir()), chromedp.WSURLReadTimeout(patience))
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), opts...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 4*time.Minute)
	t.Cleanup(cancel)
	b := &browser{t: t, ctx: ctx, base: base, axe: string(axe)}
	require.NoError(t, chromedp.Listen(ctx, b.watch))
	call(b, network.Enable, network.EnableParams{})
	call(b, log.Enable, cdp.Empty{})
	return b
}

func (b *browser) note(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.wrong = append(b.wrong, fmt.Sprintf(format, args...))
}

func (b *browser) watch(event any) {
	switch e := event.(type) {
	case *page.EventJavascriptDialogOpening:
		b.note("dialog %q", e.Message)
		go func() { _, _ = chromedp.Call(b.ctx, page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{}) }()
	case *runtime.EventExceptionThrown:
		b.note("exception %+v", e.ExceptionDetails)
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
			b.note("console %s %v", e.Type, e.Args)
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError && !strings.Contains(e.Entry.Text, "the server responded with a status of 4") {
			b.note("log %s %s", e.Entry.Text, e.Entry.URL)
		}
	case *network.EventRequestWillBeSent:
		if u, err := url.Parse(e.Request.URL); err == nil && u.Scheme != "data" && "http://"+u.Host != b.base {
			b.note("request to %s", e.Request.URL)
		}
	}
}

// clean fails the test when the browser saw what it must not see.
func (b *browser) clean() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	require.Empty(b.t, b.wrong)
}

func (b *browser) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	require.NoError(b.t, chromedp.Do(b.ctx, steps...))
}

// call sends a command to the browser.
func call[P, R any](b *browser, command cdp.Command[P, R], params P) {
	b.t.Helper()
	_, err := chromedp.Call(b.ctx, command, params)
	require.NoError(b.t, err)
}

// ask returns what an action says.
func ask[T any](b *browser, action chromedp.Action[T]) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, action)
	require.NoError(b.t, err)
	return v
}

// eval returns what an expression says of the page.
func eval[T any](b *browser, expression string) T {
	b.t.Helper()
	return ask(b, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

// open shows a page and waits until it is there.
func (b *browser) open(path string) {
	b.t.Helper()
	b.do(chromedp.Navigate(b.base+path), chromedp.WaitReady(chromedp.CSS("main")))
}

// submit clicks and waits for the page that follows.
func (b *browser) submit(selector string) {
	b.t.Helper()
	eval[string](b, `document.body.dataset.old = "1"`)
	b.do(chromedp.Click(chromedp.CSS(selector)), chromedp.WaitReady(chromedp.CSS(`body:not([data-old])`)), chromedp.WaitReady(chromedp.CSS("main")))
}

// signIn signs the admin in through the page.
func (b *browser) signIn(password string) {
	b.t.Helper()
	b.open("/")
	b.do(chromedp.SendKeys(chromedp.CSS(`input[name=name]`), "admin"), chromedp.SendKeys(chromedp.CSS(`input[name=password]`), password))
	b.submit(`form button`)
}

// look sets the size and the colours of the window.
func (b *browser) look(width int64, scheme string) {
	b.t.Helper()
	b.do(chromedp.EmulateViewport(width, 1000))
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
}

// tiles are the numbers of the overview, by outcome.
func (b *browser) tiles(within string) map[string]int64 {
	b.t.Helper()
	return eval[map[string]int64](b, `Object.fromEntries([...document.querySelectorAll('`+within+` .tile')].map(t => [t.querySelector('dt').textContent, Number(t.querySelector('dd').textContent.replaceAll(',', ''))]))`)
}

// accessible asks axe-core about the page: nothing serious may be wrong.
func (b *browser) accessible(path string) {
	b.t.Helper()
	eval[int](b, b.axe+"; 0")
	raw := eval[string](b, `axe.run({resultTypes: ['violations']}).then(r => JSON.stringify(r.violations.map(v => ({id: v.id, impact: v.impact, help: v.help, nodes: v.nodes.slice(0, 3).map(n => n.html)}))))`)
	var list []struct {
		ID, Impact, Help string
		Nodes            []string
	}
	require.NoError(b.t, json.Unmarshal([]byte(raw), &list))
	for _, v := range list {
		if v.Impact == "serious" || v.Impact == "critical" {
			b.t.Errorf("%s: %s (%s): %s", path, v.Help, v.ID, strings.Join(v.Nodes, " "))
		}
	}
}

// shot keeps a picture of the page under var/screenshots.
func (b *browser) shot(name string) {
	b.t.Helper()
	png := ask(b, chromedp.FullScreenshot(100))
	dir := filepath.Join(root(), "var", "screenshots")
	require.NoError(b.t, os.MkdirAll(dir, 0o755))
	require.NoError(b.t, os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644))
}

// narrow checks that nothing but tables is wider than the window.
func (b *browser) narrow(path string) {
	b.t.Helper()
	over := eval[bool](b, `document.documentElement.scrollWidth > window.innerWidth + 1`)
	require.False(b.t, over, "%s must be scrolled sideways", path)
}
