package spec

// Release is the version that both binaries report. It is set when they are
// linked (-ldflags "-X
// koordinator.io/koordinator/wrapper/spec.Release=v1.2.3").
var Release = "dev"
