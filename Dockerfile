# One image for every role: `api` (the default), `worker`, `migrate`.
FROM oven/bun:1.4.5

WORKDIR /app

# The embedded servers stay out: a container gets its Postgres and NATS by DATABASE_URL and NATS_URL.
COPY package.json bun.lock bunfig.toml ./
COPY src/db/postgres@3.4.9.patch ./src/db/
RUN bun install --frozen-lockfile --production --omit=optional

COPY drizzle ./drizzle
COPY src ./src

# The allocator gives memory back after a second, as the scripts in package.json say too.
ENV NODE_ENV=production \
    HOST=0.0.0.0 \
    MIMALLOC_PURGE_DELAY=1000

USER bun
EXPOSE 8000
STOPSIGNAL SIGTERM
ENTRYPOINT ["bun", "src/main.ts"]
CMD ["api"]
