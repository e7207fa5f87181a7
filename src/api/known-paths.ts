// Which methods a path knows, for whoever comes with another one (RFC 9110, section 15.5.6).

type Route = { method: string; path: string };

export class KnownPaths {
  #routes: { method: string; segments: string[] }[] = [];

  learn(routes: readonly Route[]): void {
    this.#routes = routes.map(({ method, path }) => ({ method, segments: segmentsOf(path) }));
  }

  /** Empty for an unknown path. What answers GET answers HEAD. */
  methodsAt(path: string): string[] {
    const given = segmentsOf(path);
    const methods = this.#routes
      .filter(({ segments }) => segments.length === given.length && segments.every((one, n) => fits(one, given[n])))
      .flatMap(({ method }) => (method === "GET" ? ["GET", "HEAD"] : [method]));
    return [...new Set(methods)].toSorted();
  }
}

/** A slash at the end makes no difference to the router. */
function segmentsOf(path: string): string[] {
  return path.replace(/(.)\/$/, "$1").split("/");
}

function fits(segment: string, given: string | undefined): boolean {
  return segment.startsWith(":") ? given !== "" : segment === given;
}
