package main

import (
	"context"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/goccy/go-yaml"

	"certwindow/cmd/certwindow/config"
)

// composeProject loads docker-compose.yml as the engine's own tool does, without an engine and with an empty
// environment, so that nothing of this machine fills a gap in the file.
func composeProject(t *testing.T) *types.Project {
	t.Helper()
	root := repoRoot(t)
	p, err := loader.LoadWithContext(context.Background(), types.ConfigDetails{
		WorkingDir:  root,
		ConfigFiles: []types.ConfigFile{{Filename: filepath.Join(root, "docker-compose.yml")}},
		Environment: types.Mapping{},
	}, func(o *loader.Options) { o.SetProjectName("certwindow", false) })
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// A hospital that tries the window out gets all of it with one command.
func TestComposeServices(t *testing.T) {
	p := composeProject(t)
	if got, want := p.ServiceNames(), []string{"first-day", "mail", "postgres", "simulator", "window"}; !slices.Equal(got, want) {
		t.Fatalf("services %q, want %q", got, want)
	}
	for name, s := range p.Services {
		if oneShot := s.Restart == types.RestartPolicyNo; !oneShot && (s.HealthCheck == nil || s.HealthCheck.Disable || len(s.HealthCheck.Test) < 2) {
			t.Errorf("%s has no health check", name)
		}
		if s.Privileged || s.NetworkMode == "host" {
			t.Errorf("%s runs with the machine's own rights", name)
		}
		for _, port := range s.Ports {
			if port.HostIP != "127.0.0.1" {
				t.Errorf("%s publishes port %s on %q: a window to try out is for this machine alone", name, port.Published, port.HostIP)
			}
		}
		for dep, on := range s.DependsOn {
			want := types.ServiceConditionHealthy
			if p.Services[dep].Restart == types.RestartPolicyNo {
				want = types.ServiceConditionCompletedSuccessfully
			}
			if on.Condition != want {
				t.Errorf("%s waits for %s only until it is %s", name, dep, on.Condition)
			}
		}
	}
	window := p.Services["window"]
	if !strings.HasSuffix(window.HealthCheck.Test[len(window.HealthCheck.Test)-1], "/readyz") {
		t.Errorf("the window's health is judged by %q, not by /readyz", window.HealthCheck.Test)
	}
}

// What runs is what was tried: every image has a tag that does not move.
func TestImagesArePinned(t *testing.T) {
	images := map[string]string{}
	for name, s := range composeProject(t).Services {
		if s.Build == nil {
			images["docker-compose.yml: "+name] = s.Image
		}
	}
	d := readDockerfile(t)
	for _, f := range d.from {
		if !slices.Contains(d.stages, f) {
			images["Dockerfile"+": "+f] = f
		}
	}
	if len(images) < 4 {
		t.Fatalf("only %d images found", len(images))
	}
	exact := regexp.MustCompile(`^[a-z0-9./-]+:(v?\d+\.\d+[0-9a-z.-]*|bookworm-\d{8}-slim)$`)
	for where, image := range images {
		if !exact.MatchString(image) {
			t.Errorf("%s is not pinned to an exact version: %q", where, image)
		}
	}
}

// A secret comes as a file that the repository does not hold.
func TestComposeHoldsNoSecret(t *testing.T) {
	p := composeProject(t)
	for name, s := range p.Secrets {
		rel, err := filepath.Rel(repoRoot(t), s.File)
		if err != nil || path.Dir(filepath.ToSlash(rel)) != "deploy/secrets" {
			t.Errorf("secret %s is the file %q, outside the ignored folder deploy/secrets", name, s.File)
		}
		if s.Content != "" || s.Environment != "" {
			t.Errorf("secret %s has its value in the compose file or in the environment", name)
		}
	}
	sensitive := regexp.MustCompile(`(?i)password|passwd|secret|token|pin$|_key$`)
	for name, s := range p.Services {
		for key, value := range s.Environment {
			if sensitive.MatchString(key) && (value == nil || !strings.HasPrefix(*value, "/run/secrets/")) {
				t.Errorf("%s: %s is not the name of a secret's file", name, key)
			}
		}
		for _, used := range s.Secrets {
			if _, ok := p.Secrets[used.Source]; !ok {
				t.Errorf("%s uses the secret %s that nobody makes", name, used.Source)
			}
		}
	}
	made := readFile(t, "deploy/secrets.sh")
	for name := range p.Secrets {
		if !strings.Contains(made, "\nkeep "+name+" ") {
			t.Errorf("deploy/secrets.sh does not make %s", name)
		}
	}
	if !strings.Contains(readFile(t, "deploy/.gitignore"), "/secrets/") {
		t.Error("deploy/secrets would be committed")
	}
}

// The files that the compose file mounts and builds from are in the repository.
func TestComposePathsExist(t *testing.T) {
	for name, s := range composeProject(t).Services {
		if s.Build != nil {
			if _, err := os.Stat(filepath.Join(s.Build.Context, s.Build.Dockerfile)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if !slices.Contains(readDockerfile(t).stages, s.Build.Target) {
				t.Errorf("%s: the Dockerfile has no stage %q", name, s.Build.Target)
			}
		}
		for _, v := range s.Volumes {
			if v.Type != types.VolumeTypeBind {
				continue
			}
			if _, err := os.Stat(v.Source); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if !v.ReadOnly {
				t.Errorf("%s may write to %s", name, v.Source)
			}
		}
	}
}

// dockerfile is what matters here of deploy/Dockerfile.
type dockerfile struct {
	from   []string // images and stages that stages begin with
	stages []string
	copied []string // paths copied from the build context
	text   string
}

func readDockerfile(t *testing.T) dockerfile {
	t.Helper()
	d := dockerfile{text: readFile(t, "deploy/Dockerfile")}
	for line := range strings.Lines(strings.ReplaceAll(d.text, "\\\n", " ")) {
		words := strings.Fields(line)
		switch {
		case len(words) >= 2 && words[0] == "FROM":
			d.from = append(d.from, words[1])
			if len(words) == 4 && words[2] == "AS" {
				d.stages = append(d.stages, words[3])
			}
		case len(words) > 2 && words[0] == "COPY" && !strings.HasPrefix(words[1], "--"):
			d.copied = append(d.copied, words[1:len(words)-1]...)
		}
	}
	return d
}

func readFile(t *testing.T, rel string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(repoRoot(t), filepath.FromSlash(rel)))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// The image is built from what is there, all of our packages are in it, and it does not run as root.
func TestDockerfile(t *testing.T) {
	d := readDockerfile(t)
	ignore := strings.Split(readFile(t, "deploy/Dockerfile.dockerignore"), "\n")
	for _, p := range d.copied {
		if _, err := os.Stat(filepath.Join(repoRoot(t), p)); err != nil {
			t.Errorf("COPY: %v", err)
		}
		if !slices.Contains(ignore, "!"+p) {
			t.Errorf("%s is copied, and Dockerfile.dockerignore keeps it out", p)
		}
	}
	for _, f := range goFiles(t) {
		if top, _, _ := strings.Cut(f.dir, "/"); !f.test && !slices.Contains(d.copied, top) {
			t.Errorf("%s is not copied into the build", f.dir)
		}
	}
	if last := d.stages[len(d.stages)-1]; last != "production" {
		t.Errorf("a plain build gives the stage %s, not production", last)
	}
	for _, stage := range []string{"development", "production"} {
		_, after, ok := strings.Cut(d.text, " AS "+stage+"\n")
		body, _, _ := strings.Cut("\n"+after, "\nFROM ")
		if !ok || !strings.Contains(body, "\nUSER certwindow\n") {
			t.Errorf("the stage %s does not give up root", stage)
		}
		if stage == "production" && (strings.Contains(body, "softhsm") || strings.Contains(body, "hcasim")) {
			t.Error("the production image holds SoftHSM or the simulator")
		}
	}
}

// The example is a configuration that production takes, and it shows every key there is.
func TestExampleConfigurations(t *testing.T) {
	root := repoRoot(t)
	for file, mode := range map[string]string{"certwindow.example.yaml": config.Production, "certwindow.compose.yaml": config.Development} {
		c, err := config.Load(filepath.Join(root, "deploy", file))
		if err != nil {
			t.Error(err)
		} else if c.Mode != mode {
			t.Errorf("%s is for %s, want %s", file, c.Mode, mode)
		}
	}
	text := readFile(t, "deploy/certwindow.example.yaml")
	var shown map[string]any
	if err := yaml.Unmarshal([]byte(text), &shown); err != nil {
		t.Fatal(err)
	}
	for _, key := range missingKeys(reflect.TypeFor[config.Config](), shown, "") {
		if !strings.Contains(text, "\n# "+key+":") {
			t.Errorf("the example does not show %s", key)
		}
	}
}

// missingKeys are the keys of a configuration that a document does not have.
func missingKeys(typ reflect.Type, doc map[string]any, prefix string) []string {
	var missing []string
	for i := range typ.NumField() {
		f := typ.Field(i)
		key := f.Tag.Get("yaml")
		if key == "" {
			continue
		}
		value, ok := doc[key]
		if !ok {
			missing = append(missing, prefix+key)
			continue
		}
		switch {
		case f.Type.Kind() == reflect.Struct:
			sub, _ := value.(map[string]any)
			missing = append(missing, missingKeys(f.Type, sub, prefix+key+".")...)
		case f.Type.Kind() == reflect.Slice && f.Type.Elem().Kind() == reflect.Struct:
			list, _ := value.([]any)
			if len(list) == 0 {
				missing = append(missing, prefix+key)
				continue
			}
			sub, _ := list[0].(map[string]any)
			missing = append(missing, missingKeys(f.Type.Elem(), sub, prefix+key+".")...)
		}
	}
	return missing
}
