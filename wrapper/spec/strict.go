package spec

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// strict decodes a value into what to points to. At all levels keys are exact and
// given once, an unknown one is an error, and a text may stand for a number: so
// the spec's own fields are read, too. An error says where in the value it is.
func strict(v json.RawMessage, to any) error {
	return decode(v, reflect.ValueOf(to).Elem())
}

func decode(v json.RawMessage, to reflect.Value) error {
	if strings.TrimSpace(string(v)) == "null" {
		if to.Kind() == reflect.Slice {
			return nil // no items: what needs some says so
		}
		return errors.New("want a value, have null")
	}
	if raw, keep := to.Addr().Interface().(*json.RawMessage); keep {
		*raw = slices.Clone(v)
		return nil
	}
	switch to.Kind() {
	case reflect.Pointer:
		to.Set(reflect.New(to.Type().Elem()))
		return decode(v, to.Elem())
	case reflect.Struct:
		return decodeFields(v, to)
	case reflect.Map:
		return decodeMap(v, to)
	case reflect.Slice:
		return decodeList(v, to)
	default:
		return decodeScalar(v, to)
	}
}

// membersOf are those of an object in which no key is given twice.
func membersOf(v json.RawMessage) ([]member, error) {
	members, err := decodeObject(string(v))
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for _, m := range members {
		if seen[m.key] {
			return nil, fmt.Errorf("%s: given twice: keep one", m.key)
		}
		seen[m.key] = true
	}
	return members, nil
}

func decodeFields(v json.RawMessage, to reflect.Value) error {
	members, err := membersOf(v)
	if err != nil {
		return err
	}
	fields := fieldsOf(to)
	for _, m := range members {
		field, known := fields[m.key]
		if !known {
			return fmt.Errorf("%s: unknown field (known: %s)", m.key, strings.Join(slices.Sorted(maps.Keys(fields)), ", "))
		}
		if err := decode(m.value, field); err != nil {
			return fmt.Errorf("%s: %w", m.key, err)
		}
	}
	return nil
}

// fieldsOf are a struct's fields by their names in JSON, those of embedded
// structs among them.
func fieldsOf(v reflect.Value) map[string]reflect.Value {
	all := map[string]reflect.Value{}
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if field.Anonymous {
			maps.Copy(all, fieldsOf(v.Field(i)))
			continue
		}
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		all[name] = v.Field(i)
	}
	return all
}

func decodeMap(v json.RawMessage, to reflect.Value) error {
	members, err := membersOf(v)
	if err != nil {
		return err
	}
	to.Set(reflect.MakeMapWithSize(to.Type(), len(members)))
	for _, m := range members {
		value := reflect.New(to.Type().Elem()).Elem()
		if err := decode(m.value, value); err != nil {
			return fmt.Errorf("%s: %w", m.key, err)
		}
		to.SetMapIndex(reflect.ValueOf(m.key), value)
	}
	return nil
}

func decodeList(v json.RawMessage, to reflect.Value) error {
	var items []json.RawMessage
	if err := json.Unmarshal(v, &items); err != nil {
		return fmt.Errorf("want a list […], have %.40s", v)
	}
	to.Set(reflect.MakeSlice(to.Type(), len(items), len(items)))
	for i, item := range items {
		if err := decode(item, to.Index(i)); err != nil {
			return fmt.Errorf("[%d]: %w", i, err)
		}
	}
	return nil
}

func decodeScalar(v json.RawMessage, to reflect.Value) error {
	text, err := scalar(v)
	if err != nil {
		return err
	}
	if to.Kind() == reflect.String {
		to.SetString(text)
		return nil
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		return fmt.Errorf("%q is not a whole number", text)
	}
	to.SetInt(n)
	return nil
}
