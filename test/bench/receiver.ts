// A receiver in a process of its own that costs as little as it can: it counts, and notes the first and the last.

let count = 0;
let firstAt = 0;
let lastAt = 0;

const server = Bun.serve({
  port: Number(process.env["RECEIVER_PORT"]),
  hostname: "127.0.0.1",
  fetch(request) {
    if (request.method === "GET") return Response.json({ count, firstAt, lastAt });
    const now = Date.now();
    if (count === 0) firstAt = now;
    lastAt = now;
    count += 1;
    if (request.url.includes("/slow/")) return Bun.sleep(4_000).then(() => new Response());
    return new Response();
  },
});

process.send?.("ready");
process.on("SIGTERM", () => {
  server
    .stop(true)
    .finally(() => process.exit())
    .catch(() => {});
});
