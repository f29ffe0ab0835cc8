import type { IDisposable } from '@lumino/disposable';
import { DisposableDelegate } from '@lumino/disposable';
import { Poll } from '@lumino/polling';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import { DecodeError } from './decode.js';
import { Palette } from './palette.js';
import type {
  IGpu,
  IGpuReading,
  IInstance,
  ILease,
  IOverview,
  IProblem,
  IReading
} from './views.js';

const CALM_MS = 5_000;
const ATTENTIVE_MS = 2_000;
const SLOWEST_MS = 60_000;
const SAME_MS = 60_000;

/** What the model asks of the server. */
export interface ISource {
  overview(): Promise<IOverview>;
  cancel(kernelId: string): Promise<void>;
}

/** How often to ask, in milliseconds. */
export interface IPace {
  readonly calm: number;
  readonly attentive: number;
}

/**
 * What the server told last, for everything in this tab that shows it. One poll: slower after
 * failures, quicker while the panel is looked at or a kernel of ours comes or goes, none while the
 * tab is hidden.
 */
export class Model implements IDisposable {
  constructor(source: ISource, pace: IPace = { calm: CALM_MS, attentive: ATTENTIVE_MS }) {
    this._source = source;
    this._pace = pace;
    this._poll = new Poll({
      auto: false,
      factory: () => this._ask(),
      frequency: this._frequency(),
      name: 'jupyter-mig:overview',
      standby: 'when-hidden'
    });
  }

  /** Emitted after each answer and each failure. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** The last answer; null before the first. */
  get overview(): IOverview | null {
    return this._overview;
  }

  /** Why the last question had no answer; null if it had. */
  get problem(): IProblem | null {
    return this._problem;
  }

  /** Mine. A wait that was called off here is over at once. */
  get leases(): readonly ILease[] {
    const leases = this._overview?.leases ?? [];
    return leases.filter(each => !(isWaiting(each) && this._cancelled.has(each.leaseId)));
  }

  get waiting(): readonly ILease[] {
    return this.leases.filter(isWaiting);
  }

  get held(): readonly ILease[] {
    return this.leases.filter(lease => !isWaiting(lease));
  }

  get isDisposed(): boolean {
    return this._poll.isDisposed;
  }

  dispose(): void {
    this._poll.dispose();
    Signal.clearData(this);
  }

  /** Begin to ask. */
  start(): void {
    void this._poll.start();
  }

  /** Ask now. */
  refresh(): void {
    void this._poll.refresh();
  }

  /** Ask now, and wait until there is news or that time has passed. */
  async refreshed(milliseconds: number): Promise<void> {
    await new Promise<void>(resolve => {
      const done = (): void => {
        clearTimeout(timer);
        this._changed.disconnect(done);
        resolve();
      };
      const timer = setTimeout(done, milliseconds);
      this._changed.connect(done);
      this.refresh();
    });
  }

  /** Ask more often until what is returned is disposed of. */
  watch(): IDisposable {
    this._watchers += 1;
    this._setPace();
    this.refresh();
    return new DisposableDelegate(() => {
      this._watchers -= 1;
      this._setPace();
    });
  }

  leaseOf(kernelId: string): ILease | null {
    return this.leases.find(lease => lease.kernelId === kernelId) ?? null;
  }

  instanceOf(lease: ILease): IInstance | null {
    const instances = (this._overview?.node.gpus ?? []).flatMap(gpu => gpu.instances);
    return instances.find(instance => instance.leaseId === lease.leaseId) ?? null;
  }

  /** What was read of the lease's slice; null if there was nothing to read. */
  readingOf(lease: ILease): IReading | null {
    const instanceId = this.instanceOf(lease)?.instanceId;
    const readings = this._overview?.readings?.slices ?? [];
    return readings.find(reading => reading.instanceId === instanceId) ?? null;
  }

  /** What was read of the GPU as a whole; null if there was nothing to read. */
  gpuReadingOf(gpu: IGpu): IGpuReading | null {
    const readings = this._overview?.readings?.gpus ?? [];
    return readings.find(reading => reading.gpuUuid === gpu.uuid) ?? null;
  }

  /** The number of the lease's colour, the same as long as it lives. */
  colourOf(leaseId: string): number {
    return this._palette.colourOf(leaseId);
  }

  /**
   * When a rule ends the lease; null: none does. The same as long as it is the same to the minute, or
   * it would change with every answer.
   */
  endOf(lease: ILease): Date | null {
    return this._ends.get(lease.leaseId) ?? null;
  }

  /** Call a wait off. Throws what the source throws. */
  async cancel(lease: ILease): Promise<void> {
    this._cancelled.add(lease.leaseId);
    this._changed.emit();
    try {
      await this._source.cancel(lease.kernelId);
    } catch (error) {
      this._cancelled.delete(lease.leaseId);
      throw error;
    } finally {
      this.refresh();
    }
  }

  /** The answer to a question is dropped if a later one was asked meanwhile. */
  private async _ask(): Promise<void> {
    const question = ++this._questions;
    try {
      const overview = await this._source.overview();
      this._ifLast(question, () => this._take(overview));
    } catch (error) {
      this._ifLast(question, () => {
        this._problem = problemIn(error);
      });
      throw error;
    }
  }

  private _ifLast(question: number, take: () => void): void {
    if (question === this._questions && !this.isDisposed) {
      take();
      this._changed.emit();
    }
  }

  private _take(overview: IOverview): void {
    this._overview = overview;
    this._problem = null;
    const leaseIds = overview.leases.map(lease => lease.leaseId);
    this._palette.keep(leaseIds);
    this._ends = new Map(overview.leases.flatMap(lease => this._ending(lease)));
    this._cancelled = new Set(leaseIds.filter(each => this._cancelled.has(each)));
    this._setPace();
  }

  /** Of a lease that a rule ends, its id and when that is. */
  private _ending({ leaseId, endsInSeconds }: ILease): [string, Date][] {
    if (endsInSeconds === null) {
      return [];
    }
    const before = this._ends.get(leaseId);
    const end = new Date(Date.now() + 1_000 * endsInSeconds);
    const isSame = before !== undefined && Math.abs(+before - +end) < SAME_MS;
    return [[leaseId, isSame ? before : end]];
  }

  private _setPace(): void {
    this._poll.frequency = this._frequency();
  }

  private _frequency(): { interval: number; backoff: boolean; max: number } {
    const attentive = this._watchers > 0 || this.leases.some(lease => !isSettled(lease));
    const interval = attentive ? this._pace.attentive : this._pace.calm;
    return { interval, backoff: true, max: Math.max(SLOWEST_MS, interval) };
  }

  private readonly _source: ISource;
  private readonly _pace: IPace;
  private readonly _poll: Poll<void, unknown>;
  private readonly _changed = new Signal<this, void>(this);
  private readonly _palette = new Palette();
  private _cancelled = new Set<string>();
  private _ends = new Map<string, Date>();
  private _overview: IOverview | null = null;
  private _problem: IProblem | null = null;
  private _questions = 0;
  private _watchers = 0;
}

/** Whether it has no slice yet. */
export function isWaiting(lease: ILease): boolean {
  return lease.state === 'waiting';
}

/** Whether it has its slice and its kernel, and stays so until its user does something. */
export function isSettled(lease: ILease): boolean {
  return lease.state === 'bound';
}

/** Of an error that carries the server's own words, those; else its message. */
export function problemIn(error: unknown): IProblem {
  if (error instanceof Error && 'problem' in error) {
    return (error as Error & { problem: IProblem }).problem;
  }
  const kind = error instanceof DecodeError ? 'server-not-understood' : 'server-unreachable';
  const message = error instanceof Error ? error.message : String(error);
  return { kind, message, situation: '', nextStep: '' };
}
