package bench

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"
)

// operation does something once and reports what went wrong.
type operation func() error

// block is how long one of the two sides is measured before the other takes its turn: long enough to hold
// collections of its own garbage, short enough that whatever else the machine does falls on both.
const block = 40 * time.Millisecond

// compared is what a comparison found, medians over its rounds.
type compared struct {
	ours, raw, ratio float64 // ns of processor time an operation
}

// compare measures both on one core by the processor time of the whole process, the garbage collector's with it,
// so that other processes on a busy machine cost nothing. The ratio is the median of the rounds' ratios.
func compare(ctx context.Context, ours, raw operation, span time.Duration) (compared, error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	var a, b, ratios []float64
	for begun := time.Now(); time.Since(begun) < span || len(ratios) < 3; {
		if ctx.Err() != nil {
			return compared{}, ctx.Err()
		}
		r, err := processorTime(raw)
		if err != nil {
			return compared{}, err
		}
		o, err := processorTime(ours)
		if err != nil {
			return compared{}, err
		}
		a, b, ratios = append(a, o), append(b, r), append(ratios, o/r)
	}
	return compared{median(a), median(b), median(ratios)}, nil
}

// processorTime repeats f for a block, and gives the ns that one took of any processor.
func processorTime(f operation) (float64, error) {
	runtime.GC() // what the other side left behind
	before, err := used()
	if err != nil {
		return 0, err
	}
	for n := 1; ; n++ {
		if err := f(); err != nil {
			return 0, err
		}
		if n%8 != 0 {
			continue
		}
		after, err := used()
		if err != nil {
			return 0, err
		}
		if after-before >= block {
			return float64(after-before) / float64(n), nil
		}
	}
}

// used is the processor time that this process has taken, in user mode and for it in the kernel.
func used() (time.Duration, error) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0, err
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), nil
}

// scale gives how much more of an operation is done on so many cores than on one, by the clock, for both sides:
// the raw operations share nothing, so that what they gain is what the machine has to give just then. All four
// take turns, and the best turn of each counts: what other processes take away makes a turn worse, never better.
func scale(ctx context.Context, ours, raw operation, cores int, span time.Duration) (gainOurs, gainRaw float64, err error) {
	turns := []struct {
		side  operation
		cores int
		best  float64
	}{{ours, 1, 0}, {raw, 1, 0}, {ours, cores, 0}, {raw, cores, 0}}
	begun := time.Now()
	for n := 0; n < 3 || time.Since(begun) < span; n++ {
		if ctx.Err() != nil {
			return 0, 0, ctx.Err()
		}
		for i := range turns {
			rate, err := throughput(turns[i].side, turns[i].cores)
			if err != nil {
				return 0, 0, err
			}
			turns[i].best = max(turns[i].best, rate)
		}
	}
	return turns[2].best / turns[0].best, turns[3].best / turns[1].best, nil
}

// throughput is operations a second with so many cores and as many goroutines.
func throughput(f operation, cores int) (float64, error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(cores))
	runtime.GC()
	counts, errs := make([]int, cores), make([]error, cores)
	begun := time.Now()
	var all sync.WaitGroup
	for i := range cores {
		all.Go(func() {
			n := 0
			for ; errs[i] == nil && (n%8 != 0 || time.Since(begun) < block); n++ {
				errs[i] = f()
			}
			counts[i] = n
		})
	}
	all.Wait()
	took, sum := time.Since(begun), 0
	for _, n := range counts {
		sum += n
	}
	return float64(sum) / took.Seconds(), errors.Join(errs...)
}

// wall repeats both in turns, by the clock, for what waits for a device; it gives the medians in ns.
func wall(ctx context.Context, ours, raw operation, span time.Duration) (compared, error) {
	var a, b []float64
	for begun := time.Now(); time.Since(begun) < span || len(a) < 3; {
		for _, side := range []struct {
			f  operation
			to *[]float64
		}{{ours, &a}, {raw, &b}} {
			if ctx.Err() != nil {
				return compared{}, ctx.Err()
			}
			start := time.Now()
			if err := side.f(); err != nil {
				return compared{}, err
			}
			*side.to = append(*side.to, float64(time.Since(start)))
		}
	}
	c := compared{ours: median(a), raw: median(b)}
	c.ratio = c.ours / c.raw
	return c, nil
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[len(v)/2]
}
