import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { ISessionContext } from '@jupyterlab/apputils';
import { Dialog, showDialog, showErrorMessage } from '@jupyterlab/apputils';
import type { Kernel, Session } from '@jupyterlab/services';
import type { TranslationBundle } from '@jupyterlab/translation';

import { hasKernel } from './front.js';
import type { Model } from './model.js';
import { isDead, startAnew } from './subject.js';
import type { ILease } from './views.js';
import { nameOf } from './wording.js';

/** A kernel with a slice, as far as it takes to find it. */
export type IHolder = Pick<ILease, 'kernelId' | 'label' | 'size'>;

/** After so long this tab has heard of a kernel's notebook if there is one. */
const HEARD_SECONDS = 30;

/** What a user can do about a kernel that has or wants a slice. */
export class Kernels {
  constructor(
    private readonly _app: JupyterFrontEnd,
    private readonly _model: Model,
    private readonly _trans: TranslationBundle
  ) {}

  /** The notebook's name, also after it was renamed. */
  nameOf(lease: IHolder): string {
    return nameOf(this._trans, this._session(lease)?.path ?? lease.label);
  }

  /** Whether this server runs it: the user's other programs have leases too. */
  isHere(lease: IHolder): boolean {
    return this._session(lease) !== null;
  }

  /**
   * Whether this server runs it and no notebook or console has it. A young one may have one of
   * which this tab has not heard yet: JupyterLab asks for kernels and for sessions now and then.
   */
  isLoose(lease: ILease): boolean {
    return !this.isHere(lease) && this._kernel(lease) !== null && lease.heldSeconds > HEARD_SECONDS;
  }

  /** Whether its notebook or console is open in this tab. */
  isOpen(lease: IHolder): boolean {
    return this._context(lease) !== null;
  }

  /** Show one that no notebook has in the one it was started for, or else in a new one. */
  async reattach(lease: IHolder): Promise<void> {
    const { commands } = this._app;
    const kernel = this._kernel(lease);
    if (kernel === null) {
      return;
    }
    const { id, name } = kernel;
    const path = lease.label;
    if (!(await this._isWithoutKernel(path))) {
      await commands.execute('notebook:create-new', { kernelId: id, kernelName: name });
      return;
    }
    const open = this._contexts().find(context => context.path === path);
    await commands.execute('docmanager:open', { path, kernel: { id, name } });
    await open?.changeKernel({ id });
  }

  /** Show its notebook or console. */
  async goTo(lease: IHolder): Promise<void> {
    const session = this._session(lease);
    if (session === null) {
      return;
    }
    const { commands } = this._app;
    const path = session.path;
    if (session.type === 'console' && commands.hasCommand('console:open')) {
      await commands.execute('console:open', { path, activate: true });
    } else {
      await commands.execute('docmanager:open', { path });
    }
  }

  /**
   * Restart it, after asking: as JupyterLab does for the notebook in front. Where the server has given
   * it up there is nothing to restart, or to lose: another one is started. One that the notebook has
   * got since is left alone.
   */
  async restart(lease: IHolder): Promise<void> {
    const context = this._context(lease);
    const kernel = context?.session?.kernel ?? null;
    if (context !== null && (kernel === null || isDead(kernel))) {
      await startAnew(context, kernel?.name ?? context.prevKernelName);
      this._model.refresh();
    } else if (kernel === null || kernel.id === lease.kernelId) {
      await this.goTo(lease);
      await this._app.commands.execute('kernelmenu:restart');
    }
  }

  /** Shut it down, after asking. */
  async shutDown(lease: IHolder): Promise<void> {
    if (!(await this._isSure(lease))) {
      return;
    }
    const { sessions, kernels } = this._app.serviceManager;
    const session = this._session(lease);
    try {
      await (session === null ? kernels.shutdown(lease.kernelId) : sessions.shutdown(session.id));
    } catch (error) {
      await this._show(this._trans.__('The kernel was not shut down'), error);
    }
    this._model.refresh();
  }

  /** Call its wait off. */
  async cancel(lease: ILease): Promise<void> {
    try {
      await this._model.cancel(lease);
    } catch (error) {
      await this._show(this._trans.__('The wait was not called off'), error);
    }
  }

  /** Whether it is a notebook's, and the notebook is there and has no kernel. */
  private async _isWithoutKernel(path: string): Promise<boolean> {
    const { contents, sessions } = this._app.serviceManager;
    const isTaken = [...sessions.running()].some(session => session.path === path);
    if (isTaken || !path.endsWith('.ipynb')) {
      return false;
    }
    return contents.get(path, { content: false }).then(
      () => true,
      () => false
    );
  }

  private _context(lease: IHolder): ISessionContext | null {
    const found = this._contexts().find(
      ({ session, path }) => session?.kernel?.id === lease.kernelId || path === lease.label
    );
    return found ?? null;
  }

  /** Of what is open in this tab and can have a kernel. */
  private _contexts(): ISessionContext[] {
    return [...this._app.shell.widgets('main')].filter(hasKernel).map(each => each.sessionContext);
  }

  private _kernel(lease: IHolder): Kernel.IModel | null {
    for (const kernel of this._app.serviceManager.kernels.running()) {
      if (kernel.id === lease.kernelId) {
        return kernel;
      }
    }
    return null;
  }

  private _session(lease: IHolder): Session.IModel | null {
    for (const session of this._app.serviceManager.sessions.running()) {
      if (session.kernel?.id === lease.kernelId) {
        return session;
      }
    }
    return null;
  }

  private async _isSure(lease: IHolder): Promise<boolean> {
    const answer = await showDialog({
      title: this._trans.__('Shut down the kernel?'),
      body: this._trans.__(
        'The kernel of %1 ends, its variables are lost, and its %2 slice is free.',
        this.nameOf(lease),
        lease.size
      ),
      buttons: [
        Dialog.cancelButton({ label: this._trans.__('Cancel') }),
        Dialog.warnButton({ label: this._trans.__('Shut Down') })
      ]
    });
    return answer.button.accept;
  }

  private async _show(title: string, error: unknown): Promise<void> {
    await showErrorMessage(title, error instanceof Error ? error : String(error));
  }
}
