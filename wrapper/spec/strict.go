package spec

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// strict decodes a value into the variable that to points to. At all levels
// keys are case-sensitive and unique, unknown keys are errors, and a string may
// stand for a number, as in the spec's own fields. An error contains its
// position in the value.
func strict(v json.RawMessage, to any) error {
	return decode(v, reflect.ValueOf(to).Elem())
}

func decode(v json.RawMessage, to reflect.Value) error {
	if strings.TrimSpace(string(v)) == "null" {
		if to.Kind() == reflect.Slice {
			return nil // an empty list: a field that requires items reports that
		}
		return wrong(WrongForm, "null", "Set a value, or remove the field", "null is not a value")
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

// membersOf returns the members of an object without duplicate keys.
func membersOf(v json.RawMessage) ([]member, error) {
	members, err := decodeObject(string(v))
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for _, m := range members {
		if seen[m.key] {
			return nil, wrong(DuplicateKey, m.key, "Keep one", "%s is set twice", m.key)
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
			return wrong(UnknownField, m.key, "Use one of "+strings.Join(slices.Sorted(maps.Keys(fields)), ", "), "%q is not a known field", m.key)
		}
		if err := decode(m.value, field); err != nil {
			return within(m.key, err)
		}
	}
	return nil
}

// fieldsOf returns a struct's fields by their names in JSON, including those of
// embedded structs.
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
			return within(m.key, err)
		}
		to.SetMapIndex(reflect.ValueOf(m.key), value)
	}
	return nil
}

func decodeList(v json.RawMessage, to reflect.Value) error {
	var items []json.RawMessage
	if err := json.Unmarshal(v, &items); err != nil {
		return wrong(WrongForm, "", "Write [a, b]", "%.40s is not a list", v)
	}
	to.Set(reflect.MakeSlice(to.Type(), len(items), len(items)))
	for i, item := range items {
		if err := decode(item, to.Index(i)); err != nil {
			to.SetLen(i) // keep the previous items: an empty one would cause a second problem
			return within(fmt.Sprintf("[%d]", i), err)
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
		return wrong(InvalidValue, text, "", "%q is not a whole number", text)
	}
	to.SetInt(n)
	return nil
}
