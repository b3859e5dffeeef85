package spec

// Release is the version both binaries report, set when they are linked
// (-ldflags "-X koordinator.io/koordinator/wrapper/spec.Release=v1.2.3").
var Release = "dev"
