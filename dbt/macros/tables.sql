{# Without statistics the planner scans whole tables; later ones are autovacuum's matter. #}
{% macro analyze_new_table() -%}
    {%- if not changed_only() -%}
        analyze {{ this }}
    {%- endif -%}
{%- endmacro %}


{# Comments only when a table is new: setting them again on every daily build takes longer than the build. #}
{% macro postgres__persist_docs(relation, model, for_relation, for_columns) -%}
    {%- if not is_incremental() -%}
        {{ default__persist_docs(relation, model, for_relation, for_columns) }}
    {%- endif -%}
{%- endmacro %}
