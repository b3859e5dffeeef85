package probe

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// The statuses of a HealthCheckResponse (grpc.health.v1), with their numbers.
const (
	statusUnknown        = 0
	statusServing        = 1
	statusNotServing     = 2
	statusServiceUnknown = 3
)

// The wire types of Protocol Buffers.
const (
	wireVarint = 0
	wire64     = 1
	wireBytes  = 2
	wire32     = 5
)

// errMessage is the error for an answer that is not a HealthCheckResponse.
var errMessage = errors.New("an answer that is not of the health service")

// health returns the meaning of a call's data: nil for one message with the
// status SERVING. A refused call ends without data, for example if the server
// has no health service, or does not know the requested service.
func health(data []byte) error {
	if len(data) == 0 {
		return errors.New("the call was refused: no health service there, or it does not know the service")
	}
	const prefix = 5 // one byte for compression, four for the length
	if len(data) < prefix || data[0] != 0 || uint64(binary.BigEndian.Uint32(data[1:])) != uint64(len(data)-prefix) {
		return errMessage
	}
	status, err := healthStatus(data[prefix:])
	if err != nil {
		return err
	}
	switch status {
	case statusServing:
		return nil
	case statusNotServing:
		return errors.New("NOT_SERVING")
	case statusServiceUnknown:
		return errors.New("SERVICE_UNKNOWN")
	case statusUnknown:
		return errors.New("UNKNOWN")
	}
	return fmt.Errorf("unknown status %d", status)
}

// healthStatus returns field 1 of a HealthCheckResponse. If it occurs
// repeatedly, the last one counts. Other fields are skipped.
func healthStatus(message []byte) (uint64, error) {
	status := uint64(statusUnknown)
	for len(message) > 0 {
		tag, n := binary.Uvarint(message)
		if n <= 0 {
			return 0, errMessage
		}
		value, size := field(message[n:], tag&7)
		if size <= 0 {
			return 0, errMessage
		}
		if tag == 1<<3|wireVarint {
			status = value
		}
		message = message[n+size:]
	}
	return status, nil
}

// field returns the number in a field's value, and the size of the value: 0 or
// less if it is truncated or of an unknown type.
func field(b []byte, wire uint64) (value uint64, size int) {
	switch wire {
	case wireVarint:
		return binary.Uvarint(b)
	case wire64:
		size = 8
	case wire32:
		size = 4
	case wireBytes:
		length, n := binary.Uvarint(b)
		if n <= 0 || length > uint64(len(b)-n) {
			return 0, 0
		}
		return 0, n + int(length)
	}
	if size > len(b) {
		return 0, 0
	}
	return 0, size
}
