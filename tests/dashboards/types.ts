// What a file with a dashboard may say: the types of both projects, with the values of their enums in place of the enums.
import type { Dashboard, Panel } from '@grafana/schema';
import type { Options as BarGauge } from '@grafana/schema/dist/esm/raw/composable/bargauge/panelcfg/x/BarGaugePanelCfg_types.gen';
import type { Options as Stat } from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen';
import type { Options as TimeSeries, FieldConfig as TimeSeriesField } from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';
import type { CalculationType, DashboardResource, FormatOptions, LegendOptionsBase, PanelDefinition } from '@perses-dev/core';

type Written<T> = T extends string ? `${T}` : T extends number ? (`${T}` extends `${infer N extends number}` ? N : T)
  : T extends (infer E)[] ? Written<E>[] : T extends object ? { [K in keyof T]: Written<T[K]> } : T;

type Of<Type extends string, Options, Field> = Omit<Written<Panel>, 'type' | 'options' | 'fieldConfig' | 'targets'> & {
  type: Type;
  options: Partial<Written<Options>>;
  fieldConfig: { defaults: Omit<Written<NonNullable<Panel['fieldConfig']>['defaults']>, 'custom'> & { custom?: Partial<Written<Field>> }; overrides: never[] };
  targets: { refId: string; datasource: { type: string; uid: string }; expr: string; legendFormat: string; range: boolean; instant: boolean; editorMode: 'code' }[];
};
type BoardPanel = Of<'stat', Stat, object> | Of<'bargauge', BarGauge, object> | Of<'timeseries', TimeSeries, TimeSeriesField>;

export type GrafanaBoard = Omit<Written<Dashboard>, 'panels'> & { panels: BoardPanel[] };

type Plugin =
  | { kind: 'StatChart'; spec: { calculation: CalculationType; format: FormatOptions } }
  | { kind: 'BarChart'; spec: { calculation: CalculationType; format: FormatOptions; sort: 'asc' | 'desc' } }
  | { kind: 'TimeSeriesChart'; spec: { legend: LegendOptionsBase; yAxis: { format: FormatOptions; min: number }; visual: { display: 'bar' | 'line'; stack?: 'all' | 'percent'; areaOpacity?: number } } };
type Query = { kind: 'TimeSeriesQuery'; spec: { plugin: { kind: 'PrometheusTimeSeriesQuery'; spec: { query: string; seriesNameFormat: string; minStep: string } } } };

export type PersesBoard = Omit<DashboardResource, 'spec'> & {
  spec: Omit<DashboardResource['spec'], 'panels'> & {
    panels: Record<string, Omit<PanelDefinition, 'spec'> & { spec: Omit<PanelDefinition['spec'], 'plugin' | 'queries'> & { plugin: Plugin; queries: Query[] } }>;
  };
};
