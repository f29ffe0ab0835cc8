import type { TranslationBundle } from '@jupyterlab/translation';
import { MenuSvg } from '@jupyterlab/ui-components';
import { CommandRegistry } from '@lumino/commands';
import type { VirtualElement } from '@lumino/virtualdom';
import { h } from '@lumino/virtualdom';
import type { Menu } from '@lumino/widgets';

/** One line: a name, what it is, whether it can be had. */
export interface IRow {
  readonly name: string;
  readonly details: string;
  /** "2 of 7 free", "yours". */
  readonly note: string;
  readonly isCurrent: boolean;
  /** Whether it is to be had without more ado; if not it can be chosen still. */
  readonly isFree: boolean;
  /** null: cannot be chosen. */
  readonly choose: (() => void) | null;
}

/** A menu of rows in groups, to be opened once. */
export function sizeMenu(trans: TranslationBundle, groups: readonly (readonly IRow[])[]): Menu {
  const commands = new CommandRegistry();
  const rows = new Map<string, IRow>();
  const menu = new MenuSvg({ commands, renderer: new Renderer(rows) });
  menu.addClass('jp-mig-SizeMenu');
  menu.contentNode.setAttribute('aria-label', trans.__('Size of the GPU slice'));
  for (const group of groups.filter(each => each.length > 0)) {
    if (menu.items.length > 0) {
      menu.addItem({ type: 'separator' });
    }
    for (const row of group) {
      const command = `row:${rows.size}`;
      rows.set(command, row);
      addCommand(commands, command, row);
      menu.addItem({ command });
    }
  }
  return menu;
}

function addCommand(commands: CommandRegistry, command: string, row: IRow): void {
  commands.addCommand(command, {
    label: row.name,
    className: row.isFree ? '' : 'jp-mig-mod-none',
    isToggleable: row.isCurrent,
    isToggled: () => row.isCurrent,
    isEnabled: () => row.choose !== null,
    execute: () => row.choose?.()
  });
}

/** Three columns where JupyterLab's menus have a name and a keyboard shortcut. */
class Renderer extends MenuSvg.Renderer {
  constructor(private readonly _rows: ReadonlyMap<string, IRow>) {
    super();
  }

  /** Stock menus let the focus go to their separators, and call them nothing. */
  override renderItem(data: Menu.IRenderData): VirtualElement {
    const item = super.renderItem(data);
    if (data.item.type !== 'separator') {
      return item;
    }
    const className = this.createItemClass(data);
    const dataset = this.createItemDataset(data);
    return h.li({ className, dataset, role: 'separator' }, ...item.children);
  }

  override formatLabel(data: Menu.IRenderData): (VirtualElement | string)[] {
    const row = this._rows.get(data.item.command);
    if (row === undefined) {
      return [];
    }
    return [
      h.span({ className: 'jp-mig-SizeMenu-name' }, row.name),
      ' ',
      h.span({ className: 'jp-mig-SizeMenu-details' }, row.details)
    ];
  }

  override formatShortcut(data: Menu.IRenderData): string {
    return this._rows.get(data.item.command)?.note ?? '';
  }
}
