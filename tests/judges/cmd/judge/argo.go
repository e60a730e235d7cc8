package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	lua "github.com/yuin/gopher-lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// What Argo CD knows; it takes anything else for Unknown.
var healths = map[string]bool{"Unknown": true, "Progressing": true, "Suspended": true, "Healthy": true, "Degraded": true, "Missing": true}

// argo runs the script of each object's kind as Argo CD runs those of its ConfigMap: no standard libraries but base,
// table and package, the object as the global `obj`, one second, and a table as the result. An object that is being
// deleted is Progressing without any script.
func argo(args []string) (func(*unstructured.Unstructured) (verdict, error), error) {
	if len(args) != 1 {
		return nil, errors.New("argo needs the scripts")
	}
	var scripts map[string]string
	if err := json.Unmarshal([]byte(args[0]), &scripts); err != nil {
		return nil, err
	}
	return func(object *unstructured.Unstructured) (verdict, error) {
		if object.GetDeletionTimestamp() != nil {
			return verdict{Status: "Progressing", Message: "Pending deletion"}, nil
		}
		kind := object.GroupVersionKind()
		script, known := scripts[kind.Group+"/"+kind.Kind]
		if !known {
			return verdict{}, fmt.Errorf("no script for %s/%s", kind.Group, kind.Kind)
		}
		return health(script, object.Object)
	}, nil
}

func health(script string, object map[string]any) (verdict, error) {
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	libraries := []struct {
		name string
		open lua.LGFunction
	}{{lua.LoadLibName, lua.OpenPackage}, {lua.BaseLibName, lua.OpenBase}, {lua.TabLibName, lua.OpenTable}}
	for _, library := range libraries {
		call := lua.P{Fn: state.NewFunction(library.open), Protect: true}
		if err := state.CallByParam(call, lua.LString(library.name)); err != nil {
			return verdict{}, err
		}
	}
	limit, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	state.SetContext(limit)
	state.SetGlobal("obj", value(state, object))
	if err := state.DoString(script); err != nil {
		return verdict{}, err
	}
	result, is := state.Get(-1).(*lua.LTable)
	if !is {
		return verdict{}, fmt.Errorf("the script returns no table but %s", state.Get(-1).Type())
	}
	said := verdict{Status: text(result, "status"), Message: text(result, "message")}
	if !healths[said.Status] {
		return verdict{}, fmt.Errorf("the script says %q, which is no health", said.Status)
	}
	return said, nil
}

func text(table *lua.LTable, key string) string {
	found, _ := table.RawGetString(key).(lua.LString)
	return string(found)
}

func value(state *lua.LState, from any) lua.LValue {
	switch from := from.(type) {
	case bool:
		return lua.LBool(from)
	case int64:
		return lua.LNumber(from)
	case float64:
		return lua.LNumber(from)
	case string:
		return lua.LString(from)
	case []any:
		table := state.NewTable()
		for _, item := range from {
			table.Append(value(state, item))
		}
		return table
	case map[string]any:
		table := state.NewTable()
		for key, item := range from {
			table.RawSetString(key, value(state, item))
		}
		return table
	default:
		return lua.LNil
	}
}
