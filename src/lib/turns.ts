// A waiting line that is shared fairly: everybody has a line of their own, and those who wait take turns, one item each.
// With one who waits it is first come, first served.

export class Turns<Key, Item> {
  /** Whose turn it is next stands first. */
  readonly #lines = new Map<Key, Item[]>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  push(key: Key, item: Item): void {
    const line = this.#lines.get(key);
    if (line === undefined) this.#lines.set(key, [item]);
    else line.push(item);
    this.#size += 1;
  }

  /** The next `max` items, fewer if fewer wait. */
  take(max: number): Item[] {
    const taken: Item[] = [];
    while (taken.length < max) {
      const [next] = this.#lines;
      if (next === undefined) break;
      const [key, line] = next;
      // Nobody else is there to take turns with.
      const count = this.#lines.size === 1 ? max - taken.length : 1;
      taken.push(...line.splice(0, count));
      this.#lines.delete(key);
      if (line.length > 0) this.#lines.set(key, line);
    }
    this.#size -= taken.length;
    return taken;
  }

  /** Takes away everything. */
  clear(): Item[] {
    return this.take(this.#size);
  }

  /** Takes the newest item from the longest line, if that is longer than `key`'s would be with one more. */
  dropInFavourOf(key: Key): Item | undefined {
    let longest = this.#lines.get(key) ?? [];
    const own = longest.length + 1;
    for (const line of this.#lines.values()) if (line.length > longest.length) longest = line;
    if (longest.length <= own) return undefined;
    this.#size -= 1;
    return longest.pop();
  }
}
