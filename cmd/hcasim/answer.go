package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"certwindow/ra/hca/cmc"
	"certwindow/ra/hca/file"
	"certwindow/ra/hca/hcasim"
)

// setupAnswer answers every request in a folder, as a window's bundle unpacks to, with a file of the same name in
// another. What is no request is left alone and told of; answering the same request twice gives the same certificate.
func setupAnswer(fs *flag.FlagSet) func(context.Context, output) error {
	dir := fs.String("dir", "", "the simulator's directory")
	in := fs.String("in", "", "folder of requests, *"+file.RequestExtension)
	to := fs.String("out", "", "folder for the answers; it is made when it is not there")
	return func(_ context.Context, out output) error {
		if _, err := os.Stat(filepath.Join(*dir, hcasim.RootFile)); err != nil {
			return usagef("%s was not made by hcasim init", *dir)
		}
		names, err := filepath.Glob(filepath.Join(*in, "*"+file.RequestExtension))
		if err != nil || len(names) == 0 {
			return usagef("%s holds no request", *in)
		}
		if err := os.MkdirAll(*to, 0o755); err != nil {
			return err
		}
		sim, err := hcasim.Open(hcasim.Options{Dir: *dir})
		if err != nil {
			return err
		}
		defer sim.Close()
		answered := []string{}
		for _, name := range names {
			path := filepath.Join(*to, strings.TrimSuffix(filepath.Base(name), file.RequestExtension)+file.AnswerExtension)
			if err := answerFile(sim, name, path); err != nil {
				fmt.Fprintf(out.notes, "hcasim answer: %s: %v\n", filepath.Base(name), err)
				continue
			}
			answered = append(answered, filepath.Base(path))
		}
		if err := out.print(map[string]any{"requests": len(names), "answers": answered}); err != nil {
			return err
		}
		if len(answered) < len(names) {
			return fmt.Errorf("%d of %d files were no request", len(names)-len(answered), len(names))
		}
		return nil
	}
}

func answerFile(sim *hcasim.Simulator, from, to string) error {
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	der, err := io.ReadAll(io.LimitReader(f, cmc.MaxRequest+1))
	if err != nil {
		return err
	}
	answer, err := sim.Answer(der)
	if err != nil {
		return err
	}
	return os.WriteFile(to, answer, 0o644)
}
