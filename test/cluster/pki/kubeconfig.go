package pki

import "encoding/json"

// Kubeconfig returns a kubeconfig for server (a URL). All certificates are embedded, so
// that the file can be copied anywhere. It is JSON, which every YAML parser accepts. name
// is the name of the cluster and of the context.
func Kubeconfig(name, server string, authority []byte, client Pair) ([]byte, error) {
	type object = map[string]any
	return json.MarshalIndent(object{
		"apiVersion":      "v1",
		"kind":            "Config",
		"current-context": name,
		"clusters":        []object{{"name": name, "cluster": object{"server": server, "certificate-authority-data": authority}}},
		"users":           []object{{"name": name, "user": object{"client-certificate-data": client.Cert, "client-key-data": client.Key}}},
		"contexts":        []object{{"name": name, "context": object{"cluster": name, "user": name}}},
	}, "", "  ")
}
