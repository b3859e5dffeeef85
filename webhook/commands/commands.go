// Package commands finds the commands of containers that do not set them in the
// pod. It looks in the operator's command index first, and otherwise in the
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
	"koordinator.io/koordinator/webhook/messages"
)

// Finder finds the commands of containers that do not set them in the pod.
type Finder struct {
	index       *mountedFiles[image.Index]
	credentials *mountedFiles[image.Keys] // the operator's, tried after those of the pod
	registries  *image.Registries         // nil: image lookup is disabled
	secrets     client.Reader             // for the pull secrets of pods; nil: they are not read
	timeout     time.Duration             // for all lookups of one pod
	metrics     *metrics
	log         *slog.Logger
}

// codes maps the kinds of failed lookups to message codes.
var codes = map[image.Kind]messages.Code{
	image.BadReference: messages.ImageName,
	image.Forbidden:    messages.RegistryForbidden,
	image.Unauthorized: messages.Unauthorized,
	image.NotFound:     messages.ImageNotFound,
	image.RateLimited:  messages.RateLimited,
	image.Timeout:      messages.Unreachable,
	image.Unreachable:  messages.Unreachable,
	image.TLS:          messages.Unreachable,
	image.Invalid:      messages.InvalidAnswer,
	image.Unsupported:  messages.UnsupportedImage,
}

// lookupsAbreast is how many images of one pod are looked up concurrently.
const lookupsAbreast = 16

// dryLookups is how many images are looked up in a dry run. A dry run leaves no
// trace, so it could otherwise be used to probe many addresses.
const dryLookups = 5

// Find returns the commands of a pod's containers, by container name. It looks up
// several images concurrently and returns within the timeout; a command that is
// not found by then is a problem. The result omits containers whose images are
// neither in the index nor looked up.
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
			found[i] = inject.Command{Problem: tooManyDryLookups(container.Image)}
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
		if found[i].Problem.Code != "" || found[i].Words != nil || found[i].ByPlatform != nil {
			byName[name] = found[i]
		}
	}
	return byName
}

// tooManyDryLookups returns the problem of an image that is not looked up in a
// dry run.
func tooManyDryLookups(image string) messages.Problem {
	return messages.Problem{
		Code: messages.TooManyDryLookups, Value: image,
		Sentence: fmt.Sprintf("a dry run looks up at most %d images (image %q)", dryLookups, image), Remedy: "Create the pod without a dry run",
	}
}

// containerOf returns the pod's container of that name.
func containerOf(pod *corev1.Pod, name string) *corev1.Container {
	for _, list := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		if i := slices.IndexFunc(list, func(c corev1.Container) bool { return c.Name == name }); i >= 0 {
			return &list[i]
		}
	}
	return &corev1.Container{Name: name}
}

// StopSignal returns the stop signal of an image in the command index, or "" if
// it has none.
func (f *Finder) StopSignal(image string) string { return f.index.get().StopSignal(image) }

// one finds the command of one container.
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
		f.log.Info("image not looked up", "image", messages.Shorten(container.Image), "kind", problem.Kind, "cause", problem.Cause, "error", err, "detail", detail(problem))
		why := messages.Problem{
			Code: codes[problem.Kind], Value: container.Image,
			Sentence: strings.Join(append([]string{problem.Sentence()}, notes...), "; "), Remedy: problem.Remedy(),
		}
		return inject.Command{Problem: why, Trouble: problem.Kind != image.BadReference}
	}
	f.metrics.lookedUp(hit(facts), time.Since(began))
	found := described(facts, container)
	found.Digest = facts.Digest
	if found.Problem.Code == "" && !strings.Contains(container.Image, "@") {
		found.Warning = messages.Problem{
			Code: messages.TagMayMove, Value: container.Image,
			Sentence: fmt.Sprintf("koordinator looked up the command in the image %q, whose tag may be moved to another image", container.Image),
			Remedy:   fmt.Sprintf("Use the image by its digest (%s@%s), or set command", container.Image, facts.Digest),
		}
	}
	return found
}

// detail returns the cause of a failure for the log. It is shortened because it
// may quote an answer of several MiB.
func detail(problem *image.Error) string {
	if err := problem.Unwrap(); err != nil {
		return messages.Shorten(err.Error())
	}
	return ""
}

// hit returns the metrics label for the way in which an answer was found.
func hit(facts image.Facts) string {
	if facts.Cached {
		return byCache
	}
	return byQuery
}

// described returns the command of a container, given the facts about its image.
func described(facts image.Facts, container *corev1.Container) inject.Command {
	run, err := facts.Run(nil, container.Args)
	if err != nil {
		return inject.Command{Problem: messages.Problem{
			Code: messages.ImageRunsNothing, Value: container.Image, Sentence: fmt.Sprintf("image %q: %v", container.Image, err),
		}}
	}
	return inject.Command{Words: image.Escape(run.FromImage), ByPlatform: run.ByPlatform, StopSignal: run.StopSignal}
}

// maxSecrets is how many pull secrets are read for one pod. Each one is a request
// to the API server, and the pod decides how many there are.
const maxSecrets = 64

// keys returns the credentials in a pod's pull secrets. The API server has
// already added the pull secrets of the service account to the pod. Notes
// describe secrets that could not be used. Like the kubelet, the lookup continues
// without them.
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
			return keys, append(notes, fmt.Sprintf("only the first %d pull secrets are read", maxSecrets))
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

// note explains to the creator of the pod why a pull secret was not used.
func note(name string, err error) string {
	switch {
	case apierrors.IsNotFound(err):
		return fmt.Sprintf("the pull secret %q does not exist", name)
	case apierrors.ReasonForError(err) != "":
		return fmt.Sprintf("the pull secret %q could not be read", name)
	}
	return err.Error()
}
