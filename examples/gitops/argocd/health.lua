-- Health of MCPProxies and MCPPolicies for Argo CD: what their condition Ready says of the newest generation.
-- Their status is as kstatus wants it, so nothing else has to be looked at.
local waiting = {status = "Progressing", message = "Waiting for the operator to judge this version"}

if obj.status == nil or obj.status.conditions == nil then
  return waiting
end

for _, condition in ipairs(obj.status.conditions) do
  if condition.type == "Ready" then
    if condition.observedGeneration ~= obj.metadata.generation then
      return waiting
    end
    local message = condition.reason .. ": " .. condition.message
    if condition.status == "True" then
      return {status = "Healthy", message = message}
    elseif condition.status == "False" then
      return {status = "Degraded", message = message}
    end
    return {status = "Progressing", message = message}
  end
end

return waiting
