#!/usr/bin/env pwsh
# Builds Moshpit.
#
#   ./build.ps1                 build, test and publish
#   ./build.ps1 build           build everything; warnings are errors
#   ./build.ps1 test            run the tests
#   ./build.ps1 bench FILTER    run the benchmarks whose names match FILTER (default: all of them, which takes long)
#   ./build.ps1 publish         artifacts/native: a native binary for this machine (needs clang or gcc)
#                               artifacts/RID:    one self-contained file for each of the runtimes below
param(
    [ValidateSet('all', 'build', 'test', 'bench', 'publish')]
    [string]$Target = 'all',
    [string]$Filter = '*'
)

$ErrorActionPreference = 'Stop'
$server = Join-Path $PSScriptRoot 'Moshpit.Server'
$runtimes = 'linux-x64', 'linux-arm64', 'osx-arm64', 'win-x64'

function Invoke-Dotnet {
    & dotnet @args
    if ($LASTEXITCODE -ne 0) { throw "dotnet $($args -join ' ') ended with status $LASTEXITCODE" }
}

function Get-Artifacts([string]$Name) { Join-Path (Join-Path $PSScriptRoot 'artifacts') $Name }

Push-Location $PSScriptRoot
try {
    if ($Target -in 'all', 'build') {
        Invoke-Dotnet build -c Release
    }

    if ($Target -in 'all', 'test') {
        Invoke-Dotnet test -c Release
    }

    if ($Target -eq 'bench') {
        Invoke-Dotnet run -c Release --project (Join-Path $PSScriptRoot 'Moshpit.Benchmarks') -- --filter $Filter
    }

    if ($Target -in 'all', 'publish') {
        Invoke-Dotnet publish $server -c Release --use-current-runtime -o (Get-Artifacts 'native')
        foreach ($runtime in $runtimes) {
            Invoke-Dotnet publish $server -c Release -r $runtime --self-contained -o (Get-Artifacts $runtime) '-p:PublishAot=false' '-p:PublishSingleFile=true' '-p:PublishTrimmed=true' '-p:DebugType=none'
        }
    }
}
finally {
    Pop-Location
}
