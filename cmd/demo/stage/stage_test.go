package stage

import (
	"strings"
	"testing"
)

// A step that fails is named, and what was started before it is ended.
func TestNewNamesTheStepThatFailed(t *testing.T) {
	var done []string
	s, err := New(t.Context(), Options{Bin: t.TempDir(), Dir: t.TempDir(), Progress: func(what string) { done = append(done, what) }})
	if err == nil {
		s.Close()
		t.Fatal("a stage without programs was built")
	}
	if !strings.HasPrefix(err.Error(), "HCA simulator: hcasim init, hcasim serve: ") {
		t.Errorf("the error names no step: %v", err)
	}
	if len(done) != 1 {
		t.Errorf("told of %q as done", done)
	}
}
