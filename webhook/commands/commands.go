// Package commands turns a pod and the names of containers in it into what
// those containers run: from the operator's command index, else from the
// registries of their images.
package commands

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"koordinator.io/koordinator/webhook/image"
	"koordinator.io/koordinator/webhook/inject"
)

// Finder finds the commands of containers whose pod does not give them.
type Finder struct {
	index       *mountedFiles[image.Index]
	credentials *mountedFiles[image.Keys] // the operator's, tried after the pod's own
	registries  *image.Registries         // nil: images are not looked up
	secrets     client.Reader             // for pods' pull secrets; nil: they are not read
	timeout     time.Duration             // for everything that is asked for one pod
	metrics     *metrics
	log         *slog.Logger
}

// lookupsAbreast is how many images of one pod are looked up at the same time.
const lookupsAbreast = 16

// dryLookups is how many images are looked up in a dry run, which leaves nothing
// behind and so could be used to try many addresses out.
const dryLookups = 5

// Find looks at the images of a pod's containers, some at the same time. It
// returns when the time is over, at the latest, and what is not known by then
// is a problem. Containers of which nobody was to be asked are left out.
func (f *Finder) Find(ctx context.Context, pod *corev1.Pod, namespace string, names []string, dry bool) map[string]inject.Command {
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	keys := sync.OnceValues(func() (image.Keys, []string) { return f.keys(ctx, pod, namespace) })
	found := make([]inject.Command, len(names))
	var wait sync.WaitGroup
	free := make(chan struct{}, lookupsAbreast)
	asked := map[string]bool{}
	for i, name := range names {
		container := containerOf(pod, name)
		if asked[container.Image] = true; dry && f.registries != nil && len(asked) > dryLookups {
			found[i] = inject.Command{Problem: fmt.Sprintf("image %q: a dry run looks up %d images at most: set command:, or create the pod", container.Image, dryLookups)}
			continue
		}
		free <- struct{}{} // no lookup outlives the context
		wait.Go(func() {
			found[i] = f.one(ctx, container, keys)
			<-free
		})
	}
	wait.Wait()
	byName := map[string]inject.Command{}
	for i, name := range names {
		if found[i].Problem != "" || found[i].Words != nil || found[i].ByPlatform != nil {
			byName[name] = found[i]
		}
	}
	return byName
}

// containerOf is the pod's container of that name.
func containerOf(pod *corev1.Pod, name string) *corev1.Container {
	for _, list := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		if i := slices.IndexFunc(list, func(c corev1.Container) bool { return c.Name == name }); i >= 0 {
			return &list[i]
		}
	}
	return &corev1.Container{Name: name}
}

// StopSignal is what the command index has as the stop signal of an image, "" for
// nothing.
func (f *Finder) StopSignal(image string) string { return f.index.get().StopSignal(image) }

// one looks at one container's image.
func (f *Finder) one(ctx context.Context, container *corev1.Container, keys func() (image.Keys, []string)) inject.Command {
	if facts, _, ok := f.index.get().Find(container.Image); ok {
		f.metrics.lookedUp(byIndex, 0)
		return described(facts, container)
	}
	if f.registries == nil {
		return inject.Command{}
	}
	began := time.Now()
	own, notes := keys()
	facts, err := f.registries.Look(ctx, image.Query{
		Image: container.Image,
		Fresh: container.ImagePullPolicy == corev1.PullAlways,
		Keys:  slices.Concat(own, f.credentials.get()),
	})
	if problem, failed := errors.AsType[*image.Error](err); failed {
		f.metrics.lookedUp(string(problem.Kind), time.Since(began))
		f.log.Info("image not looked up", "image", inject.Shorten(container.Image), "kind", problem.Kind, "cause", problem.Cause, "error", err, "detail", detail(problem))
		text := strings.Join(append([]string{err.Error()}, notes...), "; ")
		return inject.Command{Problem: text, Trouble: problem.Kind != image.BadReference}
	}
	f.metrics.lookedUp(hit(facts), time.Since(began))
	found := described(facts, container)
	found.Digest = facts.Digest
	if found.Problem == "" && !strings.Contains(container.Image, "@") {
		found.Warning = fmt.Sprintf("what it runs was looked up for the image %q, whose tag may be moved to another image: name it by its digest, as %s@%s, or set command:", container.Image, container.Image, facts.Digest)
	}
	return found
}

// detail is what is behind a failure, for the log. It may quote an answer of
// some MiB.
func detail(problem *image.Error) string {
	if err := problem.Unwrap(); err != nil {
		return inject.Shorten(err.Error())
	}
	return ""
}

// hit is how an answer was found, for the metrics.
func hit(facts image.Facts) string {
	if facts.Cached {
		return byCache
	}
	return byQuery
}

// described is what a container runs by what is known of its image.
func described(facts image.Facts, container *corev1.Container) inject.Command {
	run, err := facts.Run(nil, container.Args)
	if err != nil {
		return inject.Command{Problem: fmt.Sprintf("image %q: %v", container.Image, err)}
	}
	return inject.Command{Words: image.Escape(run.FromImage), ByPlatform: run.ByPlatform, StopSignal: run.StopSignal}
}

// maxSecrets is how many pull secrets are read for one pod. Each is a request
// to the API server, and their number is the pod's.
const maxSecrets = 64

// keys are the credentials of a pod's pull secrets; those of its service
// account have been put there by the API server. Notes tell of secrets that
// could not be used, as the kubelet goes on without them, too.
func (f *Finder) keys(ctx context.Context, pod *corev1.Pod, namespace string) (keys image.Keys, notes []string) {
	if f.secrets == nil && len(pod.Spec.ImagePullSecrets) > 0 {
		return nil, []string{"this installation does not read pull secrets"}
	}
	seen := map[string]bool{}
	for _, ref := range pod.Spec.ImagePullSecrets {
		if seen[ref.Name] {
			continue
		}
		if seen[ref.Name] = true; len(seen) > maxSecrets {
			return keys, append(notes, fmt.Sprintf("of the pull secrets only the first %d are read", maxSecrets))
		}
		var secret corev1.Secret
		err := f.secrets.Get(ctx, client.ObjectKey{Namespace: namespace, Name: ref.Name}, &secret)
		if err == nil {
			var more image.Keys
			more, err = image.ParseSecret(&secret)
			keys = append(keys, more...)
		}
		if err != nil {
			f.log.Info("pull secret not used", "namespace", namespace, "secret", ref.Name, "error", err)
			notes = append(notes, note(ref.Name, err))
		}
	}
	return keys, notes
}

// note says to whoever creates the pod why a pull secret was not used.
func note(name string, err error) string {
	switch {
	case apierrors.IsNotFound(err):
		return fmt.Sprintf("the pull secret %q does not exist", name)
	case apierrors.ReasonForError(err) != "":
		return fmt.Sprintf("the pull secret %q could not be read", name)
	}
	return err.Error()
}
