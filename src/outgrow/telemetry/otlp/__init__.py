"""OpenTelemetry's protocol: what others send is read or refused, and what is kept is sent on."""
