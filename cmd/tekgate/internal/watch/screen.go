package watch

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/term"
	"k8s.io/client-go/tools/cache"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
)

// The control sequences that every terminal of today knows.
const (
	enterScreen = "\033[?1049h\033[?25l" // the alternate screen, without a cursor
	leaveScreen = "\033[?25h\033[?1049l"
	home        = "\033[H"
	eraseLine   = "\033[K"
	eraseRest   = "\033[J"
)

const (
	// every is how often the table is drawn while durations grow.
	every = time.Second
	// soonest is the time between two drawings when runs change.
	soonest = 200 * time.Millisecond
)

// size returns the columns and rows of a terminal; 0 for anything else.
func size(out io.Writer) (width, height int) {
	file, ok := out.(*os.File)
	if !ok {
		return 0, 0
	}
	width, height, err := term.GetSize(int(file.Fd()))
	if err != nil {
		return 0, 0
	}
	return width, height
}

// screen draws on a terminal's alternate screen. It is a writer for messages, which would be
// overwritten there: those for the same terminal are printed at the end.
type screen struct {
	out    io.Writer
	errOut io.Writer
	keep   bool // errOut is a terminal

	mu   sync.Mutex
	kept []string
}

func newScreen(streams cli.Streams) *screen {
	return &screen{out: streams.Out, errOut: streams.ErrOut, keep: cli.IsTerminal(streams.ErrOut)}
}

// Write implements io.Writer for messages. Of many, the last are kept.
func (s *screen) Write(message []byte) (int, error) {
	if !s.keep {
		return s.errOut.Write(message)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	const most = 20
	s.kept = append(s.kept, string(message))
	s.kept = s.kept[max(0, len(s.kept)-most):]
	return len(message), nil
}

// draw replaces what is on the screen.
func (s *screen) draw(lines []string) error {
	text := home
	for i, line := range lines {
		if i > 0 {
			text += "\r\n"
		}
		text += line + eraseLine
	}
	_, err := io.WriteString(s.out, text+eraseRest)
	return err
}

// close gives the terminal back: with a cursor, the last table and the messages.
func (s *screen) close(last []string) {
	fmt.Fprint(s.out, leaveScreen)
	for _, line := range last {
		fmt.Fprintln(s.out, line)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keep = false
	fmt.Fprint(s.errOut, strings.Join(s.kept, ""))
}

// table keeps a table of the runs on the terminal until ctx ends.
func (v *view) table(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	changed := &atomic.Bool{}
	changed.Store(true)
	informers, err := v.informers(ctx, func() { changed.Store(true) })
	if err != nil {
		return err
	}
	go v.details.work(ctx, func() { changed.Store(true) })

	fmt.Fprint(v.screen.out, enterScreen)
	var lines []string
	defer func() { v.screen.close(lines) }()
	ticker := time.NewTicker(soonest)
	defer ticker.Stop()
	suspended, ignore := suspensions()
	defer ignore()
	var drawn time.Time
	for {
		if changed.Swap(false) || v.now().Sub(drawn) >= every {
			drawn = v.now()
			lines = v.picture(informers)
			if err := v.screen.draw(lines); err != nil {
				return fmt.Errorf("drawing the table: %w", err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-suspended:
			fmt.Fprint(v.screen.out, leaveScreen)
			suspend()
			fmt.Fprint(v.screen.out, enterScreen)
			changed.Store(true)
		case <-ticker.C:
		}
	}
}

// informers starts the informers, which call changed for each change.
func (v *view) informers(ctx context.Context, changed func()) ([]cache.SharedIndexInformer, error) {
	handler := cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { changed() },
		UpdateFunc: func(any, any) { changed() },
		DeleteFunc: func(any) { changed() },
	}
	var all []cache.SharedIndexInformer
	for _, s := range v.sources {
		informer, err := s.informer()
		if err != nil {
			return nil, err
		}
		if _, err := informer.AddEventHandler(handler); err != nil {
			return nil, err
		}
		go informer.RunWithContext(ctx)
		all = append(all, informer)
	}
	return all, nil
}

// picture returns the lines of the table, as many and as wide as the terminal has.
func (v *view) picture(informers []cache.SharedIndexInformer) []string {
	width, height := size(v.screen.out)
	if width == 0 || height == 0 { // a terminal that does not tell, such as a serial line
		width, height = 80, 24
	}
	var runs []*Run
	reading := false
	for _, informer := range informers {
		reading = reading || !informer.HasSynced()
		for _, obj := range informer.GetStore().List() {
			if run, ok := obj.(*Run); ok {
				runs = append(runs, run)
			}
		}
	}
	sortRuns(runs)
	return v.layout(runs, reading, width, height)
}

// layout returns the lines of the table: a line about all runs, headings, and the first runs.
func (v *view) layout(runs []*Run, reading bool, width, height int) []string {
	const above = 2 // the lines that are no rows
	now := v.now()
	title := counts(runs)
	if reading {
		title = "reading the runs…"
	}
	if v.options.namespace != "" {
		title += " in namespace " + v.options.namespace
	}
	title = now.Format(time.TimeOnly) + "  " + title
	if problem := v.sources[0].outage.sentence(); problem != "" {
		title = now.Format(time.TimeOnly) + "  " + problem
	}
	rows := [][]string{headings(v.options.all)}
	for _, r := range runs[:max(0, min(len(runs), height-above))] {
		shown := newRow(r, v.details.now(r), now)
		rows = append(rows, shown.cells(v.options.all))
	}
	lines := append(table([][]string{{title}}, width), table(rows, width)...)
	return lines[:max(0, min(len(lines), height))]
}
