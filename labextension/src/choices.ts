/** The sizes a kernel can be had in: kernelspecs that name a size, with what is free of each. */
import type { KernelSpec } from '@jupyterlab/services';

import type { Decoder } from './decode.js';
import { number, object, text } from './decode.js';
import type { ILease, ISize } from './views.js';

export interface IChoice {
  readonly kernelspec: string;
  /** The kernelspec it is a size of. */
  readonly base: string;
  /** What people call it: a profile, or the administrator's name for a size. */
  readonly name: string;
  /** What its kernel asks for: a profile, or a requirement such as `10gb+`. */
  readonly size: string;
  readonly memoryBytes: number;
  /** How many there are; null for a requirement, which several sizes may meet. */
  readonly count: ISize | null;
}

/** All there are, in the order in which front ends show their kernelspecs: the smallest first. */
export function choices(specs: KernelSpec.ISpecModels | null, sizes: readonly ISize[]): IChoice[] {
  return Object.values(specs?.kernelspecs ?? {})
    .flatMap(spec => (spec === undefined ? [] : [spec]))
    .sort((a, b) => a.display_name.localeCompare(b.display_name))
    .flatMap(spec => choice(spec, sizes) ?? []);
}

/** Of all choices those of the kernel that the kernelspec `name` starts, in whatever size. */
export function ofSameKernel(all: readonly IChoice[], name: string): IChoice[] {
  const base = baseOf(all, name);
  return all.filter(each => each.base === base);
}

/** The kernelspec that starts the same kernel without a GPU. */
export function baseOf(all: readonly IChoice[], name: string): string {
  return all.find(each => each.kernelspec === name)?.base ?? name;
}

export function isFree(choice: IChoice): boolean {
  return choice.count !== null && choice.count.free > 0;
}

/** How many of that size the user could have now: in place of what `lease` holds, if it does. */
export function freeFor(size: ISize, lease: ILease | null): number {
  return isInPlace(size, lease) ? (size.unclaimed ?? 0) : size.free;
}

/** Whether he must give something back first, besides what `lease` holds. */
export function isOverQuota(size: ISize, lease: ILease | null): boolean {
  return size.overQuota !== '' && !isInPlace(size, lease);
}

function isInPlace(size: ISize, lease: ILease | null): boolean {
  return lease !== null && size.insteadOf.includes(lease.leaseId);
}

/** The smallest that is free now; null: none is. */
export function smallestFree(of: readonly IChoice[]): IChoice | null {
  return of.find(isFree) ?? null;
}

/** The largest that is free now and smaller than what the lease waits for; null: there is none. */
export function smallerNow(of: readonly IChoice[], lease: ILease): IChoice | null {
  const wanted = of.findIndex(each => each.size === lease.size);
  return of.slice(0, Math.max(0, wanted)).reverse().find(isFree) ?? null;
}

interface IMark {
  readonly profile: string;
  readonly base: string;
  readonly memoryBytes: number;
}

interface IStanza {
  readonly config: { readonly size: string };
}

const marked: Decoder<IMark> = object<IMark>({ profile: text, base: text, memoryBytes: number });
const stanza: Decoder<IStanza> = object<IStanza>({ config: object({ size: text }) });

/** null: the kernelspec is none of ours, or written by another version in other words. */
function choice(spec: KernelSpec.ISpecModel, sizes: readonly ISize[]): IChoice | null {
  try {
    const { profile, base, memoryBytes } = marked(spec.metadata?.jupyter_mig);
    const { size } = stanza(spec.metadata?.kernel_provisioner).config;
    const count = sizes.find(each => each.size === size) ?? null;
    return { kernelspec: spec.name, base, name: profile, size, memoryBytes, count };
  } catch {
    return null;
  }
}
