import type { KernelSpec, Session } from '@jupyterlab/services';
import type { TranslationBundle } from '@jupyterlab/translation';

import { availability, extent } from './availability.js';
import type { IChoice } from './choices.js';
import { baseOf, choices, freeFor, isOverQuota, ofSameKernel, smallerNow } from './choices.js';
import type { Model } from './model.js';
import { isWaiting } from './model.js';
import type { IRow } from './sizeMenu.js';
import { sizeMenu } from './sizeMenu.js';
import type { ISubject } from './subject.js';
import { inSession } from './subject.js';
import type { Switcher } from './switcher.js';
import type { ILease } from './views.js';

/** Nobody waits longer than this for a menu or dialog to open. */
const LONGEST_LOOK_MS = 500;

/** What Jupyter's server knows. */
export interface IServices {
  readonly sessions: Session.IManager;
  readonly kernelspecs: KernelSpec.IManager;
}

/** The sizes that kernels can be had in, and how to get from one to another. */
export class Sizing {
  constructor(
    private readonly _services: IServices,
    private readonly _model: Model,
    readonly switcher: Switcher,
    private readonly _trans: TranslationBundle
  ) {}

  /** All sizes of all kernels. */
  get choices(): IChoice[] {
    return choices(this._services.kernelspecs.specs, this._model.overview?.node.sizes ?? []);
  }

  /** The sizes of the subject's kernel. */
  of(subject: ISubject): IChoice[] {
    return ofSameKernel(this.choices, this._kernelName(subject));
  }

  /** The kernel of that lease; null if this server does not run it. */
  subjectOf(lease: ILease): ISubject | null {
    for (const session of this._services.sessions.running()) {
      if (session.kernel?.id === lease.kernelId) {
        return inSession(this._services.sessions, session, lease);
      }
    }
    return null;
  }

  /**
   * What the lease, which waits, could have right now in place of what it waits for: the largest
   * smaller size that is free. null: nothing.
   */
  smallerNow(lease: ILease): IChoice | null {
    const subject = isWaiting(lease) ? this.subjectOf(lease) : null;
    return subject === null ? null : smallerNow(this.of(subject), lease);
  }

  /** Call the lease's wait off and start the largest smaller size that is free. */
  async useSmaller(lease: ILease): Promise<void> {
    const [subject, choice] = [this.subjectOf(lease), this.smallerNow(lease)];
    if (subject !== null && choice !== null) {
      await this.switcher.change(subject, choice);
    }
  }

  /** Have what is free now, if that is quickly known. */
  async refreshed(): Promise<void> {
    await this._model.refreshed(LONGEST_LOOK_MS);
  }

  /** Let the user choose a size, in a menu below `anchor`, which gets the focus back. */
  openMenu(subject: ISubject, anchor: HTMLElement): void {
    void this.refreshed().then(() => this._open(subject, anchor));
  }

  private _open(subject: ISubject, anchor: HTMLElement): void {
    const menu = sizeMenu(this._trans, this._rows(subject));
    const { left, bottom } = anchor.getBoundingClientRect();
    anchor.setAttribute('aria-expanded', 'true');
    menu.aboutToClose.connect(() => {
      anchor.setAttribute('aria-expanded', 'false');
      anchor.focus();
      // What was chosen is executed after the menu has closed.
      void Promise.resolve().then(() => menu.dispose());
    });
    menu.open(left, bottom);
  }

  private _rows(subject: ISubject): IRow[][] {
    const sizes = this.of(subject);
    const last = [...this._without(subject), ...this._rule(), ...this._simulated()];
    return [this._instead(subject), sizes.map(each => this._row(subject, each)), last];
  }

  private _row(subject: ISubject, choice: IChoice): IRow {
    const { lease, kernelName } = subject;
    const isCurrent = lease !== null && choice.kernelspec === kernelName;
    const held = lease !== null && isWaiting(lease) ? null : lease;
    const choose = isCurrent ? stay : (): void => void this.switcher.ask(subject, choice);
    return {
      name: choice.name,
      details: extent(this._trans, choice),
      note: isCurrent ? this._own(lease) : availability(this._trans, choice, held),
      isCurrent,
      isFree: isCurrent || choice.count === null || freeFor(choice.count, held) > 0,
      choose: isCurrent || isToBeHad(choice, held) ? choose : null
    };
  }

  private _own(lease: ILease): string {
    return isWaiting(lease) ? this._trans.__('waiting') : this._trans.__('yours');
  }

  /** Of a kernel that waits: what it could have at once. */
  private _instead(subject: ISubject): IRow[] {
    const { lease } = subject;
    const choice = lease !== null && isWaiting(lease) ? smallerNow(this.of(subject), lease) : null;
    if (choice === null) {
      return [];
    }
    const name = this._trans.__('Use %1 now', choice.name);
    const choose = (): void => void this.switcher.change(subject, choice);
    return [{ ...PLAIN, name, details: this._trans.__('instead of waiting'), choose }];
  }

  private _without(subject: ISubject): IRow[] {
    const base = baseOf(this.choices, this._kernelName(subject));
    if (this._services.kernelspecs.specs?.kernelspecs[base] === undefined) {
      return [];
    }
    const isCurrent = subject.lease === null && subject.kernelId !== null;
    const details =
      subject.lease === null || isWaiting(subject.lease)
        ? this._trans.__('a kernel without a slice')
        : this._trans.__('free the slice, keep the notebook');
    const choose = isCurrent ? stay : (): void => void this.switcher.giveUp(subject, base);
    return [{ ...PLAIN, name: this._trans.__('No GPU'), details, isCurrent, choose }];
  }

  /** What an administrator's rule allows. */
  private _rule(): IRow[] {
    const allowance = this._model.overview?.node.allowance ?? null;
    return allowance === null
      ? []
      : [{ ...PLAIN, name: allowance.rule, details: allowance.allows, isFree: false }];
  }

  private _simulated(): IRow[] {
    if (!this._model.overview?.node.simulated) {
      return [];
    }
    const name = this._trans.__('Simulated');
    return [{ ...PLAIN, name, details: this._trans.__('no GPU is used'), isFree: false }];
  }

  private _kernelName(subject: ISubject): string {
    return subject.kernelName || (this._services.kernelspecs.specs?.default ?? '');
  }
}

/**
 * Whether a kernel may be put on it, now or after a wait: in place of the slice it holds, no wait
 * helps against a rule.
 */
function isToBeHad({ count }: IChoice, held: ILease | null): boolean {
  if (count === null) {
    return true;
  }
  const isRuledOut = count.notAllowed !== '' || (held !== null && isOverQuota(count, held));
  return count.total > 0 && !isRuledOut;
}

/** Who chooses what there is already only closes the menu. */
function stay(): void {}

const PLAIN: IRow = {
  name: '',
  details: '',
  note: '',
  isCurrent: false,
  isFree: true,
  choose: null
};
