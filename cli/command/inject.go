package command

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"koordinator.io/koordinator/cli/document"
	"koordinator.io/koordinator/cli/filter"
	"koordinator.io/koordinator/cli/input"
	"koordinator.io/koordinator/cli/rules"
	"koordinator.io/koordinator/webhook/commands"
	"koordinator.io/koordinator/webhook/image"
	"koordinator.io/koordinator/webhook/inject"
	"koordinator.io/koordinator/webhook/sidecars"
	"koordinator.io/koordinator/wrapper/spec"
)

// injectOptions holds the options of inject.
type injectOptions struct {
	from          *input.Options
	settings      inject.Settings
	sidecars      func() (sidecars.Table, error)
	rules         func() ([]rules.Rule, error)
	commands      commands.Settings
	pull          string
	delivery      string
	cpu, memory   string // requests of the init container
	commandsFile  string
	namespace     string
	rbac, compare bool
}

// newInject returns the command that changes manifests as the webhook changes pods.
func newInject() *cobra.Command {
	var o injectOptions
	cmd := &cobra.Command{
		Use:   "inject -f FILE --wrapper-image IMAGE",
		Short: "Inject koordinator into manifests, as the webhook does into pods",
		Long: `Read YAML manifests, make the changes that the webhook would make to their pods, and write
the result. Injected manifests require neither a webhook in the cluster nor a label on the
namespace. If the webhook is installed, it does not change injected pods again.

inject preserves the comments, the order and the format of everything else. It saves the
original text in comments around each change, and uninject restores it. A report is
printed to standard error. If the webhook would reject an object, inject writes nothing
and exits with code 1.

Pods with the annotation koordinator.io/source: local require no permissions. All other
pods require permission to get, list and watch pods. --rbac adds a Role and a RoleBinding,
both named koordinator-inject-ACCOUNT, for each of their service accounts. uninject removes
them. A RoleBinding contains the namespace of the account, so --rbac requires -n for objects
whose manifest does not set a namespace.`,
		Example: `  kubectl koordinator inject -f job.yaml --wrapper-image registry.example/wrapper:1.0 | kubectl apply -f -
  helm template ./chart | kubectl koordinator inject -f - --commands commands.yaml --rbac -n shop > rendered.yaml
  kubectl koordinator inject -f job.yaml --wrapper-image localhost:5000/wrapper --lookup --registry-plain-http localhost:5000
  kubectl koordinator inject -f job.yaml --diff`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runInject(cmd, &o) },
	}
	o.from = manifestFlags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&o.settings.Image, "wrapper-image", os.Getenv("WRAPPER_IMAGE"), "image of the wrapper, required (environment: WRAPPER_IMAGE)")
	flags.StringVar(&o.pull, "wrapper-pull-policy", string(corev1.PullIfNotPresent), "pull policy of the wrapper's image")
	flags.StringVar(&o.delivery, "delivery", string(inject.ByNodes), "how pods get the wrapper: init-container, image-volume (Kubernetes 1.35 or later on every node), or auto, which means init-container here, because inject does not check nodes")
	flags.StringVar(&o.cpu, "install-cpu", "50m", "CPU request and limit of the init container")
	flags.StringVar(&o.memory, "install-memory", "32Mi", "memory request and limit of the init container")
	flags.StringVar(&o.commandsFile, "commands", "", "file with the commands of images, in the format of the chart value commands")
	flags.BoolVar(&o.commands.Lookup, "lookup", false, "look up the commands of images in their registries, with the credentials in ~/.docker/config.json (credential helpers are not supported)")
	flags.DurationVar(&o.commands.Timeout, "lookup-timeout", longestLookup, "timeout for all lookups of one pod")
	flags.StringSliceVar(&o.commands.Image.Private, "registry-private", nil, "registry that may be in a private network: HOST or HOST:PORT, with * for one label of the name")
	flags.StringSliceVar(&o.commands.Image.PlainHTTP, "registry-plain-http", nil, "registry without TLS: HOST or HOST:PORT, for example localhost:5000")
	flags.StringVar(&o.commands.CAFile, "registry-ca", "", "file with CA certificates (PEM) that are trusted for registries, in addition to those of the system")
	flags.BoolVar(&o.rbac, "rbac", false, "also write the Roles and RoleBindings that the pods need")
	flags.StringVarP(&o.namespace, "namespace", "n", "", "namespace of the objects whose manifest does not set one; inject does not write it into these objects")
	flags.BoolVar(&o.compare, "diff", false, "write the differences instead of the manifests")
	o.sidecars = sidecarsFlag(cmd)
	o.rules = rulesFlag(cmd)
	return cmd
}

// longestLookup is the webhook's limit, too, in nanoseconds.
const longestLookup = 25e9

// runInject injects the manifests and writes the result.
func runInject(cmd *cobra.Command, o *injectOptions) error {
	webhook, err := o.webhook(cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	texts, err := document.Read(*o.from, cmd.InOrStdin())
	if err != nil {
		return err
	}
	var all []filter.Outcome
	var results []string
	for _, text := range texts {
		result, outcomes, err := filter.Inject(text.Source, text.Text, webhook, o.from.Templates)
		if err != nil {
			return err
		}
		all, results = append(all, outcomes...), append(results, result)
	}
	if bad := reportInjection(cmd.ErrOrStderr(), all, o.rbac); bad {
		return badAnswer{errReported}
	}
	return o.write(cmd.OutOrStdout(), texts, results, all)
}

// write writes the injected manifests, or the difference.
func (o *injectOptions) write(to io.Writer, before []document.Text, after []string, all []filter.Outcome) error {
	if o.compare {
		for i, text := range before {
			difference := diff.Diff(text.Source, []byte(text.Text), text.Source+" (injected)", []byte(filter.Plain(after[i])))
			if _, err := to.Write(difference); err != nil {
				return err
			}
		}
		return nil
	}
	if o.rbac {
		last := len(after) - 1
		text, err := filter.WithAccess(after[last], all)
		if err != nil {
			return usageError{fmt.Errorf("--rbac: %w. Set metadata.namespace in the manifest, or add -n NAMESPACE", err)}
		}
		after[last] = text
	}
	return writeTexts(to, after)
}

// writeTexts writes texts one after another, as separate documents.
func writeTexts(to io.Writer, texts []string) error {
	for i, text := range texts {
		if i > 0 && !strings.HasPrefix(text, "---") {
			text = "---\n" + text
		}
		if i+1 < len(texts) && !strings.HasSuffix(text, "\n") {
			text += "\n"
		}
		if _, err := io.WriteString(to, text); err != nil {
			return err
		}
	}
	return nil
}

// webhook returns the webhook that injects pods offline.
func (o *injectOptions) webhook(notes io.Writer) (*filter.Webhook, error) {
	if err := required(o.from); err != nil {
		return nil, err
	}
	if o.settings.Image == "" && !o.compare {
		return nil, usageError{errors.New("--wrapper-image is required: the image of the wrapper, from a registry that your nodes can reach")}
	}
	if err := o.complete(notes); err != nil {
		return nil, err
	}
	applied, err := o.rules()
	if err != nil {
		return nil, err
	}
	webhook, err := filter.NewWebhook(o.settings, o.commands)
	if err != nil {
		return nil, err
	}
	webhook.Rules, webhook.Namespace = applied, o.namespace
	return webhook, nil
}

// complete turns the options into settings.
func (o *injectOptions) complete(notes io.Writer) error {
	if err := oneOf("--delivery", o.delivery, string(inject.ByInitContainer), string(inject.ByImageVolume), string(inject.ByNodes)); err != nil {
		return err
	}
	if err := oneOf("--wrapper-pull-policy", o.pull, string(corev1.PullAlways), string(corev1.PullIfNotPresent), string(corev1.PullNever)); err != nil {
		return err
	}
	var err error
	if o.settings.Sidecars, err = o.sidecars(); err != nil {
		return err
	}
	o.settings.PullPolicy, o.settings.Version = corev1.PullPolicy(o.pull), spec.Release
	o.settings.Delivery = inject.Delivery(o.delivery)
	if o.settings.Delivery == inject.ByNodes {
		o.settings.Delivery = inject.ByInitContainer
		fmt.Fprintln(notes, "delivery: init-container, because inject does not check nodes; to change this, set --delivery")
	}
	for name, text := range map[corev1.ResourceName]string{corev1.ResourceCPU: o.cpu, corev1.ResourceMemory: o.memory} {
		quantity, err := resource.ParseQuantity(text)
		if err != nil {
			return usageError{fmt.Errorf("--install-%s %q: %w", name, text, err)}
		}
		if o.settings.Resources.Requests == nil {
			o.settings.Resources = corev1.ResourceRequirements{Requests: corev1.ResourceList{}, Limits: corev1.ResourceList{}}
		}
		o.settings.Resources.Requests[name], o.settings.Resources.Limits[name] = quantity, quantity
	}
	return o.sources()
}

// sources reads the files that define the commands of images.
func (o *injectOptions) sources() error {
	if o.commandsFile != "" {
		text, err := os.ReadFile(o.commandsFile)
		if err != nil {
			return err
		}
		index, problems := image.ParseIndex(map[string]string{o.commandsFile: string(text)})
		if len(problems) > 0 {
			return usageError{fmt.Errorf("--commands: %w", errors.Join(problems...))}
		}
		o.commands.Known = index
	}
	if !o.commands.Lookup {
		return nil
	}
	o.commands.Image.Open = true
	o.commands.Image.Loopback = slices.Concat(o.commands.Image.Private, o.commands.Image.PlainHTTP) // the user's own machine
	path := dockerConfig()
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err == nil {
		o.commands.Keys, err = image.ParseConfig(path, text)
	}
	return err
}

// dockerConfig returns the path of docker's credentials.
func dockerConfig() string {
	if dir := os.Getenv("DOCKER_CONFIG"); dir != "" {
		return filepath.Join(dir, "config.json")
	}
	home, _ := os.UserHomeDir() // without a home directory, there is no such file either
	return filepath.Join(home, ".docker", "config.json")
}

// reportInjection prints the result for each object, and reports whether the webhook would
// reject any of them.
func reportInjection(to io.Writer, all []filter.Outcome, granted bool) (bad bool) {
	unknown := false
	for _, o := range all {
		name := o.Object
		if o.Place != "" && strings.Contains(o.Place, "[") {
			name += " " + o.Place
		}
		switch {
		case len(o.Problems) > 0:
			bad = true
			fmt.Fprintf(to, "%s rejected\n", name)
		case o.Skipped != "":
			fmt.Fprintf(to, "%s skipped: %s\n", name, o.Skipped)
		default:
			fmt.Fprintf(to, "%s injected: %s\n", name, strings.Join(o.Wrapped, ", "))
		}
		for _, p := range o.Problems {
			unknown = unknown || strings.Contains(p, "needs the container's command")
			fmt.Fprintf(to, "  error    %s\n", p)
		}
		for _, w := range o.Warnings {
			fmt.Fprintf(to, "  warning  %s\n", w)
		}
		if o.NeedsAccess() && !granted {
			fmt.Fprintf(to, "  warning  the service account %q needs permission to get, list and watch pods. Add --rbac, or set the annotation %ssource: local\n", o.Account, inject.Prefix)
		}
	}
	if unknown {
		fmt.Fprintln(to, "To specify the commands of images, use --commands FILE. To look them up in registries, use --lookup.")
	}
	return bad
}

// newUninject returns the command that reverts the changes of inject.
func newUninject() *cobra.Command {
	var from *input.Options
	cmd := &cobra.Command{
		Use:   "uninject -f FILE",
		Short: "Restore manifests to their state before inject",
		Long: `Restore manifests, including their comments, to their state before inject.

uninject reads the comments that inject adds around its changes. Pods that the webhook
injected do not have these comments. To restore such a pod, apply the original manifest of
its workload again.`,
		Example: `  kubectl koordinator uninject -f rendered.yaml
  kubectl koordinator inject -f job.yaml | kubectl koordinator uninject -f - | diff job.yaml -`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := required(from); err != nil {
				return err
			}
			return runUninject(cmd, from)
		},
	}
	from = manifestFlags(cmd)
	return cmd
}

// runUninject reverts the changes and writes the result.
func runUninject(cmd *cobra.Command, from *input.Options) error {
	texts, err := document.Read(*from, cmd.InOrStdin())
	if err != nil {
		return err
	}
	var results []string
	for _, text := range texts {
		before, changed, err := filter.Undo(text.Text)
		switch {
		case err != nil:
			return badAnswer{fmt.Errorf("%s: %w", text.Source, err)}
		case !changed && strings.Contains(text.Text, spec.Env):
			return badAnswer{fmt.Errorf("%s: it is injected, but not by this command: the comments that hold the original are missing. Take the original from your version control", text.Source)}
		case changed:
			fmt.Fprintf(cmd.ErrOrStderr(), "%s restored\n", text.Source)
		default:
			fmt.Fprintf(cmd.ErrOrStderr(), "%s skipped: it is not injected\n", text.Source)
		}
		results = append(results, before)
	}
	return writeTexts(cmd.OutOrStdout(), results)
}
