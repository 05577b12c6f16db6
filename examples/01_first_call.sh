#!/usr/bin/env bash
# The first calls, with nothing but curl: an answer, the same as a stream, and the list of everything that can be called.
# Start a server with `make serve`; it prints the address and a token.
set -euo pipefail
: "${TOLLGATE_TOKEN:?set TOLLGATE_TOKEN to a token (make serve prints one)}"
url="${TOLLGATE_URL:-http://127.0.0.1:8000}"

rpc() { # rpc BODY [more curl arguments]
  local body="$1"
  shift
  curl --silent --show-error --fail --max-time 60 "$url/rpc" \
    -H "authorization: Bearer $TOLLGATE_TOKEN" -H "content-type: application/json" "$@" -d "$body"
}

echo "# One answer"
rpc '{"jsonrpc":"2.0","id":1,"method":"executeAIRequest","params":{
  "content":"Say hello in one sentence.","systemPrompt":"You are friendly.","options":{"maxTokens":100}}}'
echo

echo "# The same, by position and under its other name"
rpc '{"jsonrpc":"2.0","id":2,"method":"ai.generateText","params":["Say hello in one sentence.","You are friendly.",{"maxTokens":100}]}'
echo

echo "# As it is written: deltas first, then the complete result"
rpc '{"jsonrpc":"2.0","id":"r-1","method":"executeAIRequest","params":{"content":"Count to three.","stream":true}}' \
  --no-buffer -H "accept: application/json, text/event-stream"

echo "# Two calls at once"
rpc '[{"jsonrpc":"2.0","id":"a","method":"ping"},{"jsonrpc":"2.0","id":"b","method":"listAllowedModels"}]'
echo

echo "# Everything that can be called"
rpc '{"jsonrpc":"2.0","id":3,"method":"rpc.discover"}' | cut -c 1-200
