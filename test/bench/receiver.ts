// A receiver in a process of its own that costs as little as it can: it counts.

let count = 0;

const server = Bun.serve({
  port: Number(process.env["RECEIVER_PORT"]),
  hostname: "127.0.0.1",
  fetch(request) {
    if (request.method === "GET") return Response.json({ count });
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
