// What our dashboards may be made of, in the words of Grafana's own types, which leave a
// panel's options and queries open: here they are those of its kind.

import type * as schema from '@grafana/schema';
import type * as bargauge from '@grafana/schema/dist/esm/raw/composable/bargauge/panelcfg/x/BarGaugePanelCfg_types.gen';
import type * as stat from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen';
import type * as table from '@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen';
import type * as timeseries from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';

// JSON has no enums, only what they stand for.
type Plain<T> = T extends string
  ? string extends T ? string : `${T}`
  : T extends number | boolean | null | undefined ? T
  : T extends Array<infer U> ? Array<Plain<U>>
  : T extends object ? { [K in keyof T]: Plain<T[K]> }
  : T;

interface Query {
  refId: string;
  datasource: Source;
  expr: string;
  legendFormat: string;
  editorMode: 'code';
  instant: boolean;
  range: boolean;
  format: 'time_series' | 'table';
}

interface Source extends schema.DataSourceRef {
  type: 'prometheus';
  uid: '${datasource}';
}

interface Organize extends Omit<schema.DataTransformerConfig, 'options'> {
  id: 'organize';
  options: {
    excludeByName: Record<string, boolean>;
    indexByName: Record<string, number>;
    renameByName: Record<string, string>;
  };
}

type Defaults<Custom> = Omit<schema.FieldConfig, 'custom' | 'unit'> & { unit: string; custom?: Custom };

type Loose = 'datasource' | 'description' | 'fieldConfig' | 'options' | 'targets' | 'title' | 'transformations' | 'type';

interface Panel<Kind extends string, Options, Custom> extends Omit<schema.Panel, Loose> {
  type: Kind;
  title: string;
  description: string;
  datasource: Source;
  fieldConfig: { defaults: Defaults<Custom>; overrides: schema.FieldConfigSource['overrides'] };
  options: Options;
  targets: Query[];
  transformations?: Organize[];
}

type OurPanel =
  | schema.RowPanel
  | Panel<'timeseries', timeseries.Options, timeseries.FieldConfig>
  | Panel<'stat', stat.Options, never>
  | Panel<'bargauge', bargauge.Options, never>
  | Panel<'table', table.Options, Partial<table.FieldConfig>>;

interface Variable extends Omit<schema.VariableModel, 'datasource' | 'type'> {
  type: 'query' | 'custom' | 'datasource';
  label: string;
  description: string;
  datasource?: Source;
  definition?: string;
}

interface Ours extends Omit<schema.Dashboard, 'panels' | 'templating' | 'uid' | 'title' | 'description'> {
  uid: string;
  title: string;
  description: string;
  panels: OurPanel[];
  templating: { list: Variable[] };
}

export type Dashboard = Plain<Ours>;
