package app

import (
	"context"
	"reflect"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"go.temporal.io/sdk/interceptor"

	"github.com/qbridge/qbridge/activities/stage"
	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/activities/transport"
	"github.com/qbridge/qbridge/domain/timing"
	"github.com/qbridge/qbridge/workflows/contract"
)

// stages measures what the activities of runs spend their time on.
type stages struct {
	interceptor.WorkerInterceptorBase
	store store.Store
	log   zerolog.Logger
}

// InterceptActivity implements interceptor.WorkerInterceptor.
func (s *stages) InterceptActivity(_ context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
	i := &stageInbound{stages: s}
	i.Next = next
	return i
}

type stageInbound struct {
	interceptor.ActivityInboundInterceptorBase
	stages *stages
}

// noteTimeout bounds writing down what an attempt spent its time on.
const noteTimeout = 2 * time.Second

// ExecuteActivity measures an attempt. What cannot be written down is left out: it is
// no part of what the run does.
func (i *stageInbound) ExecuteActivity(ctx context.Context, in *interceptor.ExecuteActivityInput) (any, error) {
	run := runOf(in.Args)
	if run == "" {
		return i.Next.ExecuteActivity(ctx, in)
	}
	ctx = stage.With(ctx)
	began := time.Now()
	out, err := i.Next.ExecuteActivity(ctx, in)
	wall, spent := time.Since(began), stage.Sums(ctx)
	for _, d := range spent {
		wall -= d
	}
	if wall > 0 { // lanes side by side leave no rest
		spent[timing.Transform] += wall
	}
	to, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteTimeout)
	defer cancel()
	if err := i.stages.store.AddStages(to, run, spent); err != nil {
		i.stages.log.Debug().Err(err).Str("run", run).Msg("time is not written down")
	}
	return out, err
}

// runOf is the run that an activity belongs to: the plan among its arguments names it.
func runOf(args []any) string {
	for _, a := range args {
		v := reflect.Indirect(reflect.ValueOf(a))
		if v.Kind() != reflect.Struct {
			continue
		}
		if plan, ok := v.Interface().(contract.RunPlan); ok {
			return plan.Run
		}
		if f := v.FieldByName("Plan"); f.IsValid() {
			if plan, ok := f.Interface().(contract.RunPlan); ok {
				return plan.Run
			}
		}
	}
	return ""
}

// timed tells what the time of the calls of a system went to.
func timed(system string, observe func(transport.Call)) func(transport.Call) {
	return func(c transport.Call) {
		observe(c)
		wait, answer := timing.QualysWait, timing.Qualys
		if system != systemQualys {
			wait, answer = timing.ServiceNowWait, timing.ServiceNow
			if strings.Contains(c.Path, "/identifyreconcile") {
				wait, answer = timing.WriteWait, timing.IRE
			}
		}
		if c.Context != nil {
			stage.Add(c.Context, wait, c.Wait)
			stage.Add(c.Context, answer, c.Blocked)
		}
	}
}
