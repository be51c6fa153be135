-- For wrk: sends prepared requests round and round, and prints what came of them as the last line, in JSON.
-- Arguments behind `--`: the file of requests (each behind its length, u32 little-endian), and which one is the first.

local requests, at = {}, 0

function init(arguments)
   local file = assert(io.open(arguments[1], "rb"))
   local head = file:read(4)
   while head do
      local a, b, c, d = head:byte(1, 4)
      requests[#requests + 1] = file:read(a + 256 * (b + 256 * (c + 256 * d)))
      head = file:read(4)
   end
   file:close()
   at = tonumber(arguments[2]) % #requests
end

function request()
   at = at % #requests + 1
   return requests[at]
end

function done(summary, latency)
   local e = summary.errors
   io.write(string.format(
      '{"requests": %d, "duration_us": %d, "p50_us": %.1f, "p99_us": %.1f, "errors": %d}\n',
      summary.requests - e.status, summary.duration, latency:percentile(50), latency:percentile(99),
      e.connect + e.read + e.write + e.status + e.timeout))
end
