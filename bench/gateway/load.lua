-- One kind of request, as an official SDK sends it; the outcome as one JSON object on the last line.
-- arguments: path, key, body
function init(arguments)
  wrk.method, wrk.path, wrk.body = "POST", arguments[1], arguments[3]
  wrk.headers["authorization"] = "Bearer " .. arguments[2]
  wrk.headers["content-type"] = "application/json"
  wrk.headers["accept"] = "application/json"
  wrk.headers["user-agent"] = "OpenAI/Python 2.0.0"
  wrk.headers["x-stainless-lang"] = "python"
  wrk.headers["x-stainless-package-version"] = "2.0.0"
  wrk.headers["x-stainless-os"] = "Linux"
  wrk.headers["x-stainless-arch"] = "x64"
  wrk.headers["x-stainless-runtime"] = "CPython"
  wrk.headers["x-stainless-runtime-version"] = "3.11.2"
  wrk.headers["x-stainless-async"] = "async:asyncio"
  wrk.headers["x-stainless-retry-count"] = "0"
  wrk.headers["x-stainless-read-timeout"] = "600"
  request_bytes = wrk.format()
end

function request()
  return request_bytes
end

function done(summary, latency)
  local errors = summary.errors
  print(string.format(
    '{"requests":%d,"seconds":%f,"p50_us":%f,"p99_us":%f,"refused":%d,"broken":%d}',
    summary.requests, summary.duration / 1e6, latency:percentile(50), latency:percentile(99),
    errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
