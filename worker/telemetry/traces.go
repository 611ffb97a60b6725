package telemetry

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.temporal.io/sdk/contrib/opentelemetry"
	"go.temporal.io/sdk/interceptor"
)

// flushTimeout bounds how long the last traces may take to leave.
const flushTimeout = 5 * time.Second

// Traces sends spans of workflows and activities to an OTLP endpoint such as
// "http://collector:4318". They travel in the headers of events, which makes
// histories larger: they are sent only where somebody asked for them. The function
// sends what is left.
func Traces(ctx context.Context, endpoint string) (interceptor.Interceptor, func(), error) {
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(endpoint))
	if err != nil {
		return nil, nil, fmt.Errorf("settings: QBRIDGE_OTLP_ENDPOINT is %q: %w", endpoint, err)
	}
	provider := trace.NewTracerProvider(trace.WithBatcher(exporter), trace.WithResource(resource.NewSchemaless(attribute.String("service.name", "qbridge-worker"))))
	tracing, err := opentelemetry.NewTracingInterceptor(opentelemetry.TracerOptions{Tracer: provider.Tracer("temporal")})
	if err != nil {
		return nil, nil, err
	}
	return tracing, func() {
		ctx, cancel := context.WithTimeout(context.Background(), flushTimeout)
		defer cancel()
		_ = provider.Shutdown(ctx) // what cannot be sent now is lost, as traces may be
	}, nil
}
