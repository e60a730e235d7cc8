// judge asks other people's libraries what they say of us. Each command reads from stdin and prints to stdout; what is
// wrong with the input is told on stderr, with exit code 1.
//
//	judge kstatus              JSON objects in, a line of JSON {status, message} out for each, from the kstatus library
//	judge flux EXPRESSIONS     the same by the health check expressions of a Flux Kustomization (JSON), as Flux evaluates them
//	judge argo SCRIPTS         the same by health scripts ({"group/Kind": "script"}, JSON), as Argo CD runs them
//	judge metrics [TYPE]       an exposition of that content type (text) in, the series as Prometheus reads them out
//	judge rules                a file of Prometheus rules in, the number of rules out
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utiljson "k8s.io/apimachinery/pkg/util/json"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "judge:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return errors.New("which judge?")
	}
	switch name, rest := args[0], args[1:]; name {
	case "kstatus":
		return eachObject(kstatus)
	case "flux":
		judge, err := flux(rest)
		if err != nil {
			return err
		}
		return eachObject(judge)
	case "argo":
		judge, err := argo(rest)
		if err != nil {
			return err
		}
		return eachObject(judge)
	case "metrics":
		return metrics(rest, os.Stdin)
	case "rules":
		return rules(os.Stdin)
	default:
		return fmt.Errorf("no judge is called %q", name)
	}
}

// verdict is what a judge says of one object.
type verdict struct {
	Status  string `json:"status"`
	Message string `json:"message,omitempty"`
}

func eachObject(judge func(*unstructured.Unstructured) (verdict, error)) error {
	in := json.NewDecoder(os.Stdin)
	out := json.NewEncoder(os.Stdout)
	for {
		var raw json.RawMessage
		if err := in.Decode(&raw); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		object := &unstructured.Unstructured{}
		// Whole numbers as int64, as in a client's objects: the judges look for that type.
		if err := utiljson.Unmarshal(raw, &object.Object); err != nil {
			return err
		}
		said, err := judge(object)
		if err != nil {
			return fmt.Errorf("%s %s: %w", object.GetKind(), object.GetName(), err)
		}
		if err := out.Encode(said); err != nil {
			return err
		}
	}
}
