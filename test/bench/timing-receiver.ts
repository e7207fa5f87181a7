// A receiver that notes when each subscriber's delivery arrived: at the first byte, before the body is read.

const arrivals: [string, number][] = [];

const server = Bun.serve({
  port: Number(process.env["RECEIVER_PORT"]),
  hostname: "127.0.0.1",
  async fetch(request) {
    if (request.method === "GET") return Response.json({ arrivals });
    const at = performance.timeOrigin + performance.now();
    const body = await request.text();
    // The first id in the payload is the subscriber's.
    const start = body.indexOf('"id":"') + 6;
    arrivals.push([body.slice(start, start + 36), at]);
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
