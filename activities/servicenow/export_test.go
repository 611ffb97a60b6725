package servicenow

// EncodePayload is encodePayload for the benchmark and the byte-exact tests.
var EncodePayload = encodePayload
