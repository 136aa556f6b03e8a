# Makes a Windows server reachable by SSH through Systems Manager, and publishes its host key. It runs at each boot until it has
# come to its end once; what an interrupted run has done is done again, to the same effect.
Set-StrictMode -Version 2.0
$ErrorActionPreference = 'Stop'
# A bar of progress that nobody sees slows down what it is about.
$ProgressPreference = 'SilentlyContinue'
$ssh = Join-Path $env:ProgramData 'ssh'
$hostKey = Join-Path $ssh 'ssh_host_ed25519_key.pub'
$programs = Join-Path $env:SystemRoot 'System32'

function Wait-Until([string]$Failure, [scriptblock]$Action) {
    # The network comes up late, and a role that was made a moment ago is not known everywhere yet.
    $until = (Get-Date).AddSeconds(1800)
    $wait = 5
    while ($true) {
        try {
            return & $Action
        } catch {
            Write-Host "${Failure}: $_"
            if ((Get-Date).AddSeconds($wait) -gt $until) { throw }
        }
        Start-Sleep -Seconds $wait
        $wait = [Math]::Min(60, 2 * $wait)
    }
}

function Invoke-Program([string]$Name, [string[]]$Arguments) {
    & (Join-Path $programs $Name) @Arguments | Out-Host
    if ($LASTEXITCODE -ne 0) { throw "$Name ended with $LASTEXITCODE" }
}

function Set-Text([string]$File, [string[]]$Lines) {
    # Without the mark that Set-Content begins UTF-8 with, which sshd takes for a part of the first line.
    [IO.File]::WriteAllText($File, (($Lines -join [char]10) + [char]10))
}

# --- who this is ---------------------------------------------------------------------------------------------------
$instance = Wait-Until 'The metadata service does not answer' {
    $service = 'http://169.254.169.254/latest'
    $seconds = @{ 'X-aws-ec2-metadata-token-ttl-seconds' = '300' }
    $token = Invoke-RestMethod -Method Put -Uri "$service/api/token" -Headers $seconds -TimeoutSec 5
    Invoke-RestMethod -Uri "$service/meta-data/instance-id" -Headers @{ 'X-aws-ec2-metadata-token' = $token } -TimeoutSec 5
}
$folder = Join-Path $env:ProgramData 'stackwright'
$done = Join-Path $folder 'first-boot-done'
# Of this server, and not of the one that its image was made from.
if ((Test-Path -Path $done) -and ([IO.File]::ReadAllText($done).Trim() -eq $instance)) { exit 0 }
if ($ComputerName -and $env:COMPUTERNAME -ne $ComputerName) {
    # First, so that nobody who has read the host key meets a server that restarts.
    Rename-Computer -NewName $ComputerName -Force -Restart
    exit 0
}

# --- time, disk, agent ---------------------------------------------------------------------------------------------
Set-Service -Name W32Time -StartupType Automatic
Start-Service -Name W32Time
Invoke-Program 'w32tm.exe' @('/config', "/manualpeerlist:$TimeServer", '/syncfromflags:manual', '/update')
$most = (Get-PartitionSupportedSize -DriveLetter C).SizeMax
if ((Get-Partition -DriveLetter C).Size -lt $most) { Resize-Partition -DriveLetter C -Size $most }
Set-Service -Name AmazonSSMAgent -StartupType Automatic
Start-Service -Name AmazonSSMAgent

# --- SSH -----------------------------------------------------------------------------------------------------------
# Server 2025 has it; 2022 gets it from Windows Update.
if (-not (Get-Service -Name sshd -ErrorAction SilentlyContinue)) {
    Wait-Until 'The SSH server is not installed' {
        Add-WindowsCapability -Online -Name 'OpenSSH.Server~~~~0.0.1.0' | Out-Null
        Get-Service -Name sshd | Out-Null
    }
}
# Before it starts for the first time, with a configuration that is not ours: the rule that comes with it lets everybody in. The
# agent needs none, as it connects from the server itself.
Get-NetFirewallRule -Name 'OpenSSH-Server-In-TCP*' -ErrorAction SilentlyContinue |
    ForEach-Object { Disable-NetFirewallRule -Name $_.Name }
Get-NetFirewallRule -Name 'stackwright-ssh' -ErrorAction SilentlyContinue |
    ForEach-Object { Remove-NetFirewallRule -Name $_.Name }
if ($SshFrom) {
    $rule = @{ Direction = 'Inbound'; Protocol = 'TCP'; LocalPort = 22; RemoteAddress = $SshFrom; Action = 'Allow' }
    New-NetFirewallRule -Name 'stackwright-ssh' -DisplayName 'SSH of people (stackwright)' @rule | Out-Null
}
# The start makes folder and host keys, where there are none.
Set-Service -Name sshd -StartupType Automatic
Start-Service -Name sshd
Wait-Until 'The SSH server has no host key' { if (-not (Test-Path -Path $hostKey)) { throw "$hostKey is missing" } }

# sshd reads keys of administrators only from a file that nobody else may write (SYSTEM, Administrators).
$keys = Join-Path $ssh 'administrators_authorized_keys'
Set-Text "$keys.new" $AuthorizedKeys
Invoke-Program 'icacls.exe' @("$keys.new", '/setowner', '*S-1-5-32-544')
Invoke-Program 'icacls.exe' @("$keys.new", '/inheritance:r', '/grant:r', '*S-1-5-18:F', '*S-1-5-32-544:F')
Move-Item -Path "$keys.new" -Destination $keys -Force

# A configuration that sshd refuses never takes the place of one that works.
$config = Join-Path $ssh 'sshd_config'
Set-Text "$config.new" $SshdConfig
Invoke-Program 'OpenSSH\sshd.exe' @('-t', '-f', "$config.new")
Move-Item -Path "$config.new" -Destination $config -Force

# What Ansible calls ansible_shell_type: powershell.
$registry = 'HKLM:\SOFTWARE\OpenSSH'
if (-not (Test-Path -Path $registry)) { New-Item -Path $registry | Out-Null }
$shell = Join-Path $programs 'WindowsPowerShell\v1.0\powershell.exe'
New-ItemProperty -Path $registry -Name DefaultShell -Value $shell -PropertyType String -Force | Out-Null
Restart-Service -Name sshd -Force

# --- tell who waits ------------------------------------------------------------------------------------------------
if ($HostKeyParameter) {
    $key = ([IO.File]::ReadAllText($hostKey).Trim() -split '\s+')[0..1] -join ' '
    $value = @{ instance_id = $instance; host_key = $key } | ConvertTo-Json -Compress
    Wait-Until 'The host key is not published' {
        $parameter = @{ Name = $HostKeyParameter; Value = $value; Type = 'String'; Overwrite = $true; Region = $Region }
        Write-SSMParameter @parameter | Out-Null
    }
}
New-Item -Path $folder -ItemType Directory -Force | Out-Null
Set-Text $done @($instance)
