/** How many colours the style sheet has: `.jp-mig-colour-0` and so on. */
export const COLOURS = 6;

/** Gives each lease a colour that it keeps, and no two the same while there are enough. */
export class Palette {
  /** Forget all leases but these; new ones get colours in their order. */
  keep(leaseIds: readonly string[]): void {
    const old = this._colours;
    this._colours = new Map();
    for (const each of leaseIds) {
      const colour = old.get(each);
      if (colour !== undefined) {
        this._colours.set(each, colour);
      }
    }
    for (const each of leaseIds) {
      this.colourOf(each);
    }
  }

  colourOf(leaseId: string): number {
    const known = this._colours.get(leaseId);
    if (known !== undefined) {
      return known;
    }
    const colour = this._leastUsed();
    this._colours.set(leaseId, colour);
    return colour;
  }

  private _leastUsed(): number {
    const used = new Array<number>(COLOURS).fill(0);
    for (const colour of this._colours.values()) {
      used[colour] = (used[colour] ?? 0) + 1;
    }
    return used.indexOf(Math.min(...used));
  }

  private _colours = new Map<string, number>();
}
