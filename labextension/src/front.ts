import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { ISessionContext } from '@jupyterlab/apputils';
import type { IDisposable } from '@lumino/disposable';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';
import type { Widget } from '@lumino/widgets';

/** A notebook or console: what has a kernel. */
export type WithKernel = Widget & { readonly sessionContext: ISessionContext };

/** The notebook or console in front. */
export class Front implements IDisposable {
  constructor(private readonly _shell: JupyterFrontEnd.IShell) {
    this._shell.currentChanged?.connect(this._turn, this);
    this._turn();
  }

  /** Emitted when another one is in front, or this one has another kernel. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** null: something else is in front. */
  get context(): ISessionContext | null {
    return this._context;
  }

  /** null: nothing is in front, or it has no kernel. */
  get kernelId(): string | null {
    return this._context?.session?.kernel?.id ?? null;
  }

  /** The file's name. */
  get name(): string {
    return this._context?.name ?? '';
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  dispose(): void {
    if (!this._isDisposed) {
      this._isDisposed = true;
      this._watch(null);
      Signal.clearData(this);
    }
  }

  private _turn(): void {
    const widget = this._shell.currentWidget;
    const context = widget !== null && hasKernel(widget) ? widget.sessionContext : null;
    if (context !== this._context) {
      this._watch(context);
      this._changed.emit();
    }
  }

  private _watch(context: ISessionContext | null): void {
    if (this._context !== null) {
      this._context.kernelChanged.disconnect(this._onKernel, this);
      this._context.statusChanged.disconnect(this._onKernel, this);
    }
    this._context = context;
    if (context !== null) {
      context.kernelChanged.connect(this._onKernel, this);
      context.statusChanged.connect(this._onKernel, this);
    }
  }

  /** A kernel's status changes at each cell; only what becomes of kernels is news. */
  private _onKernel(): void {
    const status = this._context?.kernelDisplayStatus;
    const news = `${this.kernelId} ${status === 'busy' ? 'idle' : status}`;
    if (news !== this._news) {
      this._news = news;
      this._changed.emit();
    }
  }

  private _context: ISessionContext | null = null;
  private _news = '';
  private _isDisposed = false;
  private readonly _changed = new Signal<this, void>(this);
}

export function hasKernel(widget: Widget): widget is WithKernel {
  return 'sessionContext' in widget;
}
