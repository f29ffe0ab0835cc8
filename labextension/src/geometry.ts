/** A GPU's memory, drawn to scale: which stretch of it is whose. */
import type { IGpu, IInstance, INode, InstanceState, IRoom } from './views.js';

/**
 * mine and others: held; changing: being made or cleared; stuck: will not clear; free: a slice that
 * exists, or room where one could be made (or none: then it has no sizes); kept: for a request in
 * line.
 */
export type BlockKind = 'mine' | 'others' | 'changing' | 'stuck' | 'free' | 'kept';

/** `width` neighbouring memory units from `start` with one fate. */
export interface IBlock {
  readonly kind: BlockKind;
  readonly start: number;
  readonly width: number;
  readonly instance: IInstance | null;
  /** Of a free one: what could be had there, the smallest first. */
  readonly sizes: readonly string[];
}

/** What of a free block a user could start now, where an administrator's rule means him. */
export function startable(block: IBlock, node: INode): readonly string[] {
  const gone = new Set(node.sizes.filter(size => size.free === 0).map(size => size.size));
  return node.allowance === null ? block.sizes : block.sizes.filter(size => !gone.has(size));
}

/** The grid for a GPU whose placements nobody may tell us. */
const UNKNOWN_UNITS = 8;

export function unitsOf(gpu: IGpu): number {
  return gpu.units > 0 ? gpu.units : UNKNOWN_UNITS;
}

/** Whether it is known where on the GPU each slice is. */
export function isPlaced(gpu: IGpu): boolean {
  return gpu.units > 0 && gpu.instances.every(each => each.start !== null);
}

/**
 * The whole GPU from left to right, without gaps. Slices of which nobody knows where they are fill
 * the gaps from the left.
 */
export function blocks(gpu: IGpu): IBlock[] {
  const line = new Line(unitsOf(gpu));
  const placed = gpu.instances.filter(each => each.start !== null);
  const elsewhere = gpu.instances.filter(each => each.start === null);
  for (const instance of placed) {
    line.put(ofInstance(gpu, instance), instance.start ?? 0);
  }
  for (const instance of elsewhere) {
    const width = widthOf(gpu, instance);
    line.put(ofInstance(gpu, instance), line.firstGap(width));
  }
  return line.filled((start, width) => gaps(gpu, start, width));
}

/** The memory that no slice has, as a share of the GPU's. */
export function freeShare(gpu: IGpu): number {
  const free = blocks(gpu).filter(each => each.kind === 'free');
  return free.reduce((sum, each) => sum + each.width, 0) / unitsOf(gpu);
}

/** Memory units and blocks laid on them. */
class Line {
  constructor(private readonly _units: number) {}

  put(block: IBlock, start: number): void {
    const at = Math.max(0, Math.min(start, this._units - 1));
    const width = Math.min(block.width, this._units - at);
    this._blocks.push({ ...block, start: at, width });
  }

  /** Where the first gap of that width begins; of any width if there is none. */
  firstGap(width: number): number {
    const open = this._gaps();
    const wide = open.find(gap => gap.width >= width);
    return (wide ?? open[0])?.start ?? 0;
  }

  /** The blocks in order, the gaps between filled. */
  filled(fill: (start: number, width: number) => IBlock[]): IBlock[] {
    const filling = this._gaps().flatMap(gap => fill(gap.start, gap.width));
    return [...this._blocks, ...filling].sort((a, b) => a.start - b.start);
  }

  private _gaps(): { start: number; width: number }[] {
    const gaps = [];
    let at = 0;
    for (const block of [...this._blocks].sort((a, b) => a.start - b.start)) {
      if (block.start > at) {
        gaps.push({ start: at, width: block.start - at });
      }
      at = Math.max(at, block.start + block.width);
    }
    if (at < this._units) {
      gaps.push({ start: at, width: this._units - at });
    }
    return gaps;
  }

  private readonly _blocks: IBlock[] = [];
}

const KINDS: Partial<Record<InstanceState, BlockKind>> = {
  creating: 'changing',
  claiming: 'changing',
  destroying: 'changing',
  idle: 'free',
  condemned: 'stuck',
  unresolved: 'stuck'
};

function ofInstance(gpu: IGpu, instance: IInstance): IBlock {
  const kind = instance.mine ? 'mine' : (KINDS[instance.state] ?? 'others');
  const sizes = kind === 'free' ? [instance.profile] : [];
  return { kind, start: instance.start ?? 0, width: widthOf(gpu, instance), instance, sizes };
}

/** By its share of the memory where the server does not know its width. */
function widthOf(gpu: IGpu, instance: IInstance): number {
  if (instance.width !== null && instance.width > 0) {
    return instance.width;
  }
  const share = instance.memoryBytes / Math.max(gpu.memoryBytes, 1);
  return Math.max(1, Math.round(share * unitsOf(gpu)));
}

/** What a gap between slices is: rooms, and between those what is kept for somebody in line. */
function gaps(gpu: IGpu, start: number, width: number): IBlock[] {
  if (!isPlaced(gpu)) {
    return [empty('free', start, width)];
  }
  const end = start + width;
  const rooms = gpu.rooms.filter(room => room.start >= start && room.start + room.width <= end);
  const found: IBlock[] = [];
  let at = start;
  for (const room of [...rooms].sort((a, b) => a.start - b.start)) {
    found.push(...kept(at, room.start), ofRoom(room));
    at = room.start + room.width;
  }
  return [...found, ...kept(at, end)];
}

function kept(start: number, end: number): IBlock[] {
  return end > start ? [empty('kept', start, end - start)] : [];
}

function ofRoom(room: IRoom): IBlock {
  return { ...empty('free', room.start, room.width), sizes: room.sizes };
}

function empty(kind: BlockKind, start: number, width: number): IBlock {
  return { kind, start, width, instance: null, sizes: [] };
}
