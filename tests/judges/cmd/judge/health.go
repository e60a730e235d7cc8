package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"github.com/fluxcd/pkg/apis/kustomize"
	"github.com/fluxcd/pkg/runtime/cel"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func kstatus(object *unstructured.Unstructured) (verdict, error) {
	result, err := status.Compute(object)
	if err != nil {
		return verdict{}, err
	}
	return verdict{Status: result.Status.String(), Message: result.Message}, nil
}

// flux takes spec.healthCheckExprs and judges each object by the entry of its kind.
func flux(args []string) (func(*unstructured.Unstructured) (verdict, error), error) {
	if len(args) != 1 {
		return nil, errors.New("flux needs the expressions")
	}
	var checks []kustomize.CustomHealthCheck
	if err := json.Unmarshal([]byte(args[0]), &checks); err != nil {
		return nil, err
	}
	evaluators := map[string]*cel.StatusEvaluator{}
	for _, check := range checks {
		evaluator, err := cel.NewStatusEvaluator(&check.HealthCheckExpressions)
		if err != nil {
			return nil, err
		}
		evaluators[check.APIVersion+"/"+check.Kind] = evaluator
	}
	return func(object *unstructured.Unstructured) (verdict, error) {
		evaluator := evaluators[object.GetAPIVersion()+"/"+object.GetKind()]
		if evaluator == nil {
			return verdict{}, fmt.Errorf("no expressions for %s %s", object.GetAPIVersion(), object.GetKind())
		}
		result, err := evaluator.Evaluate(context.Background(), object)
		if err != nil {
			return verdict{}, err
		}
		return verdict{Status: result.Status.String(), Message: result.Message}, nil
	}, nil
}
